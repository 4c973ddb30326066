/* serve.c: what the commands share that look up guidelines. */
#include "cli/serve.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/threads.h"

void cli_guide_init(cli_guide *g)
{
    *g = (cli_guide){.threads = ga__cpu_count()};
    ga_guide_options_init(&g->options);
    g->k = g->options.k;
    g->budget = g->options.budget;
    g->threshold = g->options.threshold;
    g->diversity = g->options.diversity;
}

static size_t to_strs(const cli_list *list, ga_str *out)
{
    for (size_t i = 0; i < list->count; i++)
        out[i] = ga__str(list->items[i]);
    return list->count;
}

int cli_guide_open(cli_guide *g, const cli_command *command)
{
    ga_error err;
    if (!g->pack_path)
        g->pack_path = cli_get_paths()->starter_pack;
    if (!g->pack_path)
        return cli_failf("there is no starter pack: 'make build' makes it, or "
                         "name a pack with --pack");
    /* before any line of an input is read and blamed for it */
    if (g->threshold > 1)
        return cli_usagef(command, "--threshold is at most 1, not %g",
                          g->threshold);
    if (g->diversity < 0 || g->diversity > 1)
        return cli_usagef(command, "--diversity is 0 to 1, not %g",
                          g->diversity);
    if (g->position &&
        ga_position_find(g->position, &g->options.position, &err))
        return cli_usagef(command, "%s", err.msg);
    g->options.k = g->k;
    g->options.budget = g->budget;
    g->options.threshold = g->threshold;
    g->options.diversity = g->diversity;
    g->options.scopes = g->scope_strs;
    g->options.scope_count = to_strs(&g->scopes, g->scope_strs);
    g->options.pinned = g->pin_strs;
    g->options.pinned_count = to_strs(&g->pins, g->pin_strs);
    ga_status rc = ga_pack_open(g->pack_path, &g->pack, &err);
    if (!rc)
        rc = ga_scratch_new(g->threads, &g->scratch, &err);
    if (!rc)
        rc = ga_decision_new(&g->decision, &err);
    return rc ? cli_fail(&err) : EXIT_DONE;
}

void cli_guide_close(cli_guide *g)
{
    ga_decision_free(g->decision);
    ga_scratch_free(g->scratch);
    ga_pack_close(g->pack);
}

ga_status cli_messages_prompt(cli_messages *m, ga_str prompt, ga_error *err)
{
    *m = (cli_messages){.items = ga__calloc(1, sizeof(*m->items)), .count = 1};
    if (!m->items)
        return ga__fail_nomem(err, sizeof(*m->items));
    m->items[0] = (ga_message){GA_ROLE_USER, prompt};
    return GA_OK;
}

static ga_str string_of(const json_t *s)
{
    ga_str out = {json_string_value(s), json_string_length(s)};
    return out;
}

static bool find_role(const char *name, ga_role *out)
{
    static const struct {
        const char *name;
        ga_role role;
    } roles[] = {{"system", GA_ROLE_SYSTEM}, {"developer", GA_ROLE_SYSTEM},
                 {"user", GA_ROLE_USER},     {"assistant", GA_ROLE_ASSISTANT},
                 {"tool", GA_ROLE_TOOL},     {"function", GA_ROLE_TOOL}};
    for (size_t i = 0; name && i < sizeof(roles) / sizeof(*roles); i++) {
        if (strcmp(name, roles[i].name) == 0) {
            *out = roles[i].role;
            return true;
        }
    }
    return false;
}

/* One message; each text part of a list becomes a message of that role, which
 * count together when they are the user's. */
static ga_status add_message(cli_messages *m, size_t *cap, const json_t *item,
                             size_t number, ga_error *err)
{
    ga_role role;
    const json_t *content = json_object_get(item, "content");
    size_t parts = json_is_array(content) ? json_array_size(content) : 1;
    if (!find_role(json_string_value(json_object_get(item, "role")), &role))
        return ga__fail(err, GA_INVAL, "message %zu has no known \"role\"",
                        number);
    for (size_t i = 0; i < parts; i++) {
        const json_t *text = content;
        if (json_is_array(content))
            text = json_object_get(json_array_get(content, i), "text");
        if (!json_is_string(text))
            continue; /* null beside tool calls, an image */
        void *items = m->items;
        if (!ga__grow(&items, cap, m->count + 1, sizeof(*m->items)))
            return ga__fail_nomem(err, m->count * sizeof(*m->items));
        m->items = items;
        m->items[m->count++] = (ga_message){role, string_of(text)};
    }
    return GA_OK;
}

ga_status cli_messages_parse(cli_messages *m, ga_str line, ga_error *err)
{
    json_error_t why;
    *m = (cli_messages){0};
    m->owner = json_loadb(line.ptr, line.len,
                          JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (!m->owner) {
        /* what follows is a piece of the line: anything, and somebody's */
        char *quote = strstr(why.text, " near '");
        if (quote)
            *quote = '\0';
        return ga__fail(err, GA_FORMAT, "malformed JSON: %s at byte %d",
                        why.text, why.position);
    }
    const json_t *prompt = json_object_get(m->owner, "prompt");
    const json_t *messages = json_object_get(m->owner, "messages");
    if (json_is_string(prompt)) {
        json_t *owner = m->owner;
        ga_status rc = cli_messages_prompt(m, string_of(prompt), err);
        m->owner = owner;
        return rc;
    }
    if (!json_is_array(messages))
        return ga__fail(err, GA_FORMAT,
                        "\"prompt\" (a string) or \"messages\" is missing");
    size_t cap = 0;
    for (size_t i = 0; i < json_array_size(messages); i++) {
        ga_status rc =
            add_message(m, &cap, json_array_get(messages, i), i, err);
        if (rc)
            return rc;
    }
    return GA_OK;
}

void cli_messages_free(cli_messages *m)
{
    json_decref(m->owner);
    free(m->items);
    *m = (cli_messages){0};
}

ga_str cli_messages_last_user(const cli_messages *m)
{
    for (size_t i = m->count; i-- > 0;) {
        if (m->items[i].role == GA_ROLE_USER)
            return m->items[i].text;
    }
    return (ga_str){"", 0};
}

json_t *cli_json_str(ga_str s)
{
    return json_stringn(s.ptr ? s.ptr : "", s.len);
}

static json_t *guideline_json(const ga_pack *pack, size_t index, double score)
{
    ga_guideline_view g;
    ga_error err;
    if (ga_pack_guideline(pack, index, &g, &err))
        return NULL;
    static const char *const kinds[] = {"safety", "permit", "quality"};
    json_t *risks = json_array();
    for (size_t i = 0; i < GA_RISKS; i++) {
        if (g.risks >> i & 1u)
            json_array_append_new(risks, json_string(ga_risk_name(i)));
    }
    return json_pack("{s:o, s:o, s:o, s:f, s:o, s:s, s:i}", "id",
                     cli_json_str(g.id), "title", cli_json_str(g.title), "text",
                     cli_json_str(g.text), "score", score, "risks", risks,
                     "kind", kinds[g.kind], "tokens", (int)g.tokens);
}

json_t *cli_decision_json(const cli_guide *g, const cli_messages *m,
                          const uint32_t *raw_order, const double *raw_scores,
                          size_t raw_count)
{
    const ga_decision *d = g->decision;
    size_t chosen;
    const ga_candidate *c = ga_decision_candidates(d, &chosen, NULL);
    json_t *list = json_array(), *risks = json_object();
    for (size_t i = 0; i < (raw_order ? raw_count : chosen); i++) {
        size_t index = raw_order ? raw_order[i] : c[i].index;
        double score = raw_order ? raw_scores[i] : c[i].score;
        json_array_append_new(list, guideline_json(g->pack, index, score));
    }
    json_object_set_new(risks, "unsafe", json_real(ga_decision_unsafe(d)));
    for (size_t i = 0; i < GA_RISKS; i++)
        json_object_set_new(risks, ga_risk_name(i),
                            json_real(ga_decision_risk(d, i)));
    return json_pack(
        "{s:o, s:s, s:s, s:o, s:o, s:i, s:I}", "prompt",
        cli_json_str(cli_messages_last_user(m)), "pack", ga_pack_id(g->pack),
        "state", ga_decision_state_name(ga_decision_get_state(d)), "guidelines",
        list, "risks", risks, "tokens", (int)ga_decision_tokens(d), "us",
        (json_int_t)ga_decision_microseconds(d));
}

void cli_risk_summary(const ga_decision *d, double least, char *out,
                      size_t size)
{
    bool used[GA_RISKS] = {false};
    size_t at = 0;
    out[0] = '\0';
    for (;;) {
        size_t best = GA_RISKS;
        for (size_t i = 0; i < GA_RISKS; i++) {
            if (!used[i] && ga_decision_risk(d, i) >= least &&
                (best == GA_RISKS ||
                 ga_decision_risk(d, i) > ga_decision_risk(d, best)))
                best = i;
        }
        if (best == GA_RISKS || at >= size)
            return;
        used[best] = true;
        int n = snprintf(out + at, size - at, "%s%s %.0f %%", at ? ", " : "",
                         ga_risk_name(best), 100 * ga_decision_risk(d, best));
        for (size_t i = at; n > 0 && i < size && out[i]; i++)
            out[i] = out[i] == '_' ? ' ' : out[i];
        at += n > 0 ? (size_t)n : 0;
    }
}
