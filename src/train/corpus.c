/* corpus.c: a library and its pairs as tokens and numbers. */
#include "train/corpus.h"

#include <stdlib.h>

#include "base/error.h"
#include "pack/render.h"

typedef struct {
    const ga_corpus_input *in;
    const ga_encoder *enc;
    ga_scratch *scratch;
    ga_corpus *c;
    uint32_t *by_id;  /* [G], guidelines in the order of their ids */
    uint32_t *tokens; /* [max_tokens] */
    size_t *links;    /* [G], prompts of each guideline */
    ga_error *err;
} maker;

static ga_status no_memory(const maker *m, size_t bytes)
{
    return ga__fail_nomem(m->err, bytes);
}

static ga_status tokenize(maker *m, ga_str text, ga_tokens *out)
{
    size_t n, most = m->in->max_tokens;
    ga_status rc = ga_encoder_tokenize(m->enc, m->scratch, text, m->tokens,
                                       most, &n, m->err);
    if (rc)
        return rc;
    if (n > most) { /* cut, the end token stays */
        uint32_t *all = ga__arena_alloc(&m->c->arena, n, sizeof(*all));
        if (!all)
            return no_memory(m, n * sizeof(*all));
        rc = ga_encoder_tokenize(m->enc, m->scratch, text, all, n, &n, m->err);
        if (rc)
            return rc;
        m->tokens[most - 1] = all[n - 1];
        n = most;
    }
    uint32_t *ids = ga__arena_alloc(&m->c->arena, n, sizeof(*ids));
    if (!ids)
        return no_memory(m, n * sizeof(*ids));
    memcpy(ids, m->tokens, n * sizeof(*ids));
    *out = (ga_tokens){ids, n};
    return rc;
}

/* ---- guidelines by id ---- */

static int compare(ga_str a, ga_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

typedef struct {
    ga_str id;
    uint32_t at;
} entry;

static int by_id(const void *a, const void *b)
{
    return compare(((const entry *)a)->id, ((const entry *)b)->id);
}

static ga_status sort_ids(maker *m)
{
    const size_t G = m->in->guideline_count;
    entry *all = ga__calloc(G, sizeof(*all));
    if (!all)
        return no_memory(m, G * sizeof(*all));
    for (size_t g = 0; g < G; g++)
        all[g] = (entry){m->in->guidelines[g].id, (uint32_t)g};
    qsort(all, G, sizeof(*all), by_id);
    for (size_t g = 0; g < G; g++)
        m->by_id[g] = all[g].at;
    free(all);
    return GA_OK;
}

/* SIZE_MAX when the library lacks it. */
static size_t find(const maker *m, ga_str id)
{
    size_t low = 0, high = m->in->guideline_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(m->in->guidelines[m->by_id[middle]].id, id);
        if (order == 0)
            return m->by_id[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}

/* ---- prompts ---- */

static ga_status add_prompt(maker *m, ga_str text, ga_corpus_prompt *to,
                            size_t links)
{
    to->guidelines.items =
        ga__arena_alloc(&m->c->arena, links + 1, sizeof(ga_link));
    to->guidelines.count = 0;
    return to->guidelines.items ? tokenize(m, text, &to->tokens)
                                : no_memory(m, links * sizeof(ga_link));
}

static void link_to(ga_corpus_prompt *p, size_t guideline, uint8_t grade)
{
    for (size_t i = 0; i < p->guidelines.count; i++) {
        if (p->guidelines.items[i].at == guideline)
            return; /* it was named before */
    }
    if (guideline != SIZE_MAX)
        p->guidelines.items[p->guidelines.count++] =
            (ga_link){(uint32_t)guideline, grade};
}

static ga_status add_triggers(maker *m, size_t g)
{
    const ga_str_list *list = &m->in->guidelines[g].triggers;
    ga_status rc = GA_OK;
    for (size_t i = 0; i < list->count && !rc; i++) {
        ga_corpus_prompt *p = &m->c->prompts[m->c->prompt_count++];
        rc = add_prompt(m, list->items[i], p, 1);
        if (!rc)
            link_to(p, g, 3);
    }
    return rc;
}

static ga_status add_pair(maker *m, const ga_pair *pair, ga_corpus_prompt *to)
{
    ga_status rc = add_prompt(m, pair->prompt, to,
                              pair->positives.count + pair->negatives.count);
    for (size_t i = 0; i < pair->positives.count && !rc; i++)
        link_to(to, find(m, pair->positives.items[i]), pair->grades[i]);
    for (size_t i = 0; i < pair->negatives.count && !rc; i++)
        link_to(to, find(m, pair->negatives.items[i]), 0);
    if (rc)
        ga__error_prefix(m->err, "%s:%zu", pair->file, pair->line);
    return rc;
}

/* Has it a guideline that training must not meet? */
static bool is_held_out(const maker *m, const ga_pair *pair)
{
    for (size_t i = 0; i < pair->positives.count; i++) {
        size_t g = find(m, pair->positives.items[i]);
        if (g != SIZE_MAX && !m->c->guidelines[g].trains)
            return true;
    }
    return false;
}

static ga_status add_pairs(maker *m)
{
    const ga_pair_set *pairs = m->in->pairs;
    const ga_str dev = ga__str(m->in->dev_split);
    ga_status rc = GA_OK;
    for (size_t i = 0; i < pairs->count && !rc; i++) {
        const ga_pair *p = &pairs->items[i];
        if (ga__str_equal(p->split, dev))
            rc = add_pair(m, p, &m->c->dev[m->c->dev_count++]);
        else if (ga__pair_trains(p) && !is_held_out(m, p))
            rc = add_pair(m, p, &m->c->prompts[m->c->prompt_count++]);
    }
    return rc;
}

/* The prompts of each guideline, from the guidelines of each prompt. */
static ga_status turn_links(maker *m)
{
    ga_corpus *c = m->c;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < c->prompt_count; i++) {
            const ga_links *l = &c->prompts[i].guidelines;
            for (size_t k = 0; k < l->count; k++) {
                ga_links *to = &c->guidelines[l->items[k].at].prompts;
                if (l->items[k].grade < 2)
                    continue;
                if (pass == 0)
                    m->links[l->items[k].at]++;
                else
                    to->items[to->count++] =
                        (ga_link){(uint32_t)i, l->items[k].grade};
            }
        }
        for (size_t g = 0; g < c->guideline_count && pass == 0; g++) {
            c->guidelines[g].prompts.items =
                ga__arena_alloc(&c->arena, m->links[g] + 1, sizeof(ga_link));
            if (!c->guidelines[g].prompts.items)
                return no_memory(m, m->links[g] * sizeof(ga_link));
        }
    }
    return GA_OK;
}

static ga_status add_guideline(maker *m, size_t g)
{
    const ga_guideline *from = &m->in->guidelines[g];
    ga_corpus_guideline *to = &m->c->guidelines[g];
    ga_buf text;
    ga__buf_init(&text, SIZE_MAX / 2);
    *to = (ga_corpus_guideline){
        .id = from->id, .triggers = from->triggers.count, .trains = true};
    for (size_t i = 0; i < m->in->held_out_count && to->trains; i++)
        to->trains = !ga__str_equal(m->in->held_out[i], from->id);
    ga_status rc = ga__render_guideline(from->title, from->text, &text, m->err);
    if (!rc)
        rc = tokenize(m, (ga_str){text.ptr, text.len}, &to->text);
    ga__buf_free(&text);
    return rc;
}

static ga_status make(maker *m)
{
    const ga_corpus_input *in = m->in;
    const size_t G = in->guideline_count;
    size_t prompts = in->pairs->count;
    ga_status rc = sort_ids(m);
    for (size_t g = 0; g < G; g++)
        prompts += in->guidelines[g].triggers.count;
    m->c->guideline_count = G;
    m->c->guidelines = ga__calloc(G, sizeof(*m->c->guidelines));
    m->c->prompts = ga__calloc(prompts, sizeof(*m->c->prompts));
    m->c->dev = ga__calloc(in->pairs->count, sizeof(*m->c->dev));
    if (!m->c->guidelines || !m->c->prompts || !m->c->dev)
        rc = no_memory(m, prompts * sizeof(*m->c->prompts));
    for (size_t g = 0; g < G && !rc; g++)
        rc = add_guideline(m, g);
    for (size_t g = 0; g < G && !rc; g++)
        rc = add_triggers(m, g);
    if (!rc)
        rc = add_pairs(m);
    if (!rc)
        rc = turn_links(m);
    return rc;
}

ga_status ga__corpus_make(const ga_corpus_input *in, const ga_encoder *enc,
                          ga_corpus *out, ga_error *err)
{
    const size_t G = in->guideline_count;
    maker m = {.in = in, .enc = enc, .c = out, .err = err};
    *out = (ga_corpus){.arena = GA_ARENA_INIT};
    if (G == 0)
        return ga__fail(err, GA_INVAL, "no guidelines to train on");
    if (in->max_tokens < 2)
        return ga__fail(err, GA_INVAL, "texts of %zu tokens", in->max_tokens);
    m.by_id = ga__calloc(G, sizeof(*m.by_id));
    m.tokens = ga__calloc(in->max_tokens, sizeof(*m.tokens));
    m.links = ga__calloc(G, sizeof(*m.links));
    ga_status rc = ga_scratch_new(1, &m.scratch, err);
    if (!rc && (!m.by_id || !m.tokens || !m.links))
        rc = no_memory(&m, G * sizeof(*m.links));
    if (!rc)
        rc = make(&m);
    if (!rc && out->prompt_count == 0)
        rc = ga__fail(err, GA_INVAL,
                      "no prompts to train on: neither triggers nor pairs");
    ga_scratch_free(m.scratch);
    free(m.links);
    free(m.tokens);
    free(m.by_id);
    if (rc)
        ga__corpus_free(out);
    return rc;
}

void ga__corpus_free(ga_corpus *c)
{
    free(c->guidelines);
    free(c->prompts);
    free(c->dev);
    ga__arena_free(&c->arena);
    *c = (ga_corpus){.arena = GA_ARENA_INIT};
}
