/* check_guide.h: what holds of every answer of ga_guide, ga_rank and
 * ga_compose, whatever the pack and the conversation. */
#ifndef GA_TESTS_FUZZ_CHECK_GUIDE_H
#define GA_TESTS_FUZZ_CHECK_GUIDE_H

#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/limits.h"
#include "guidealign/guidealign.h"
#include "pack/pack.h"
#include "pack/render.h"

static inline void require(bool condition)
{
    if (!condition)
        abort();
}

static inline bool is_share(double p)
{
    return p >= 0 && p <= 1; /* and not NaN */
}

static inline void check_decision(const ga_pack *pack, const ga_decision *d,
                                  const ga_guide_options *o)
{
    const ga_pack_view *v = ga__pack_view(pack);
    size_t chosen, count;
    uint64_t tokens = 0, pinned = 0, pinned_tokens = 0;
    const ga_candidate *c = ga_decision_candidates(d, &chosen, &count);
    require(chosen <= count);
    require((chosen > 0) == (ga_decision_get_state(d) == GA_DECISION_GUIDED));
    for (size_t i = 0; i < count; i++) {
        require(c[i].index < v->count);
        require(is_share(c[i].score));
        require((c[i].verdict == GA_CHOSEN) == (i < chosen));
        for (size_t k = 0; k < i; k++) {
            require(c[k].index != c[i].index);
            require(i >= chosen || c[i].pinned ||
                    v->rows[c[k].index].cluster != v->rows[c[i].index].cluster);
        }
        if (i >= chosen)
            continue;
        tokens += v->rows[c[i].index].tokens;
        pinned += c[i].pinned;
        pinned_tokens += c[i].pinned ? v->rows[c[i].index].tokens : 0;
    }
    require(chosen <= (pinned > o->k ? pinned : o->k));
    require(tokens == ga_decision_tokens(d));
    require(tokens <= (pinned_tokens > o->budget ? pinned_tokens : o->budget));
    require(is_share(ga_decision_unsafe(d)));
    for (size_t i = 0; i < GA_RISKS; i++)
        require(is_share(ga_decision_risk(d, i)));
}

/* The block that a decision makes, as the documentation describes it. */
static inline void expected_block(const ga_pack *pack, const ga_decision *d,
                                  ga_buf *out)
{
    size_t chosen;
    const ga_candidate *c = ga_decision_candidates(d, &chosen, NULL);
    ga_str heading = ga__pack_view(pack)->heading;
    ga__buf_init(out, SIZE_MAX / 2);
    require(ga__buf_append(out, heading.ptr, heading.len, NULL) == GA_OK);
    for (size_t i = 0; i < chosen; i++) {
        ga_guideline_view g;
        require(ga_pack_guideline(pack, c[i].index, &g, NULL) == GA_OK);
        require(ga__buf_str(out, "\n- ", NULL) == GA_OK);
        require(ga__render_guideline(g.title, g.text, out, NULL) == GA_OK);
    }
}

/* Is `text` the block and the old text, with an empty line between them where
 * there are both? */
static inline bool is_joined(ga_str text, ga_str block, ga_str old)
{
    size_t gap = old.len > 0 ? 2 : 0;
    if (text.len != block.len + gap + old.len)
        return false;
    ga_str head = {text.ptr, block.len}, tail = {text.ptr, old.len};
    if (ga__str_equal(head, block)) {
        tail.ptr = text.ptr + block.len + gap;
        if (ga__str_equal(tail, old) &&
            memcmp(text.ptr + block.len, "\n\n", gap) == 0)
            return true;
    }
    head = (ga_str){text.ptr + old.len + gap, block.len};
    tail = (ga_str){text.ptr, old.len};
    return ga__str_equal(head, block) && ga__str_equal(tail, old) &&
           (gap == 0 || memcmp(text.ptr + old.len, "\n\n", gap) == 0);
}

/* The composed conversation is the one that came in, and the block once. */
static inline void check_composed(const ga_pack *pack, const ga_decision *d,
                                  const ga_message *in, size_t n,
                                  ga_position position)
{
    ga_composed *c = NULL;
    ga_error err;
    ga_buf block;
    size_t chosen, m, blocks = 0;
    ga_decision_candidates(d, &chosen, NULL);
    require(ga_compose(pack, d, in, n, position, &c, &err) == GA_OK);
    const ga_message *out = ga_composed_messages(c, &m);
    expected_block(pack, d, &block);
    ga_str b = {block.ptr, block.len};
    require(m == n || (m == n + 1 && chosen > 0));
    for (size_t i = 0, k = 0; k < m; k++) {
        if (i < n && out[k].role == in[i].role &&
            out[k].text.ptr == in[i].text.ptr &&
            out[k].text.len == in[i].text.len) {
            i++; /* untouched */
            continue;
        }
        blocks++;
        if (m > n) {
            require(out[k].role == GA_ROLE_SYSTEM);
            require(ga__str_equal(out[k].text, b));
            continue;
        }
        require(i < n && out[k].role == in[i].role);
        require(is_joined(out[k].text, b, in[i].text));
        i++;
    }
    require(blocks == (chosen > 0));
    ga__buf_free(&block);
    ga_composed_free(c);
}

static inline void check_rank(const ga_pack *pack, ga_scratch *s,
                              const ga_message *in, size_t n, ga_decision *d)
{
    size_t G = ga_pack_count(pack);
    uint32_t *order = calloc(G + 1, sizeof(*order));
    double *scores = calloc(G + 1, sizeof(*scores));
    bool *seen = calloc(G + 1, sizeof(*seen));
    ga_error err;
    require(order && scores && seen);
    require(ga_rank(pack, s, in, n, order, scores, d, &err) == GA_OK);
    for (size_t i = 0; i < G; i++) {
        require(order[i] < G && !seen[order[i]]);
        seen[order[i]] = true;
        require(is_share(scores[i]));
    }
    free(seen);
    free(scores);
    free(order);
}

#endif
