/* compose.c: the chosen guidelines as text, and where they go. */
#include "guide/guide_internal.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "pack/pack.h"
#include "pack/render.h"

struct ga_composed {
    ga_message *messages; /* [n] */
    size_t n;
    ga_buf text; /* of the one message that is new or changed */
};

/* The heading and a line for each guideline, without a newline at the end. */
static ga_status render_block(const ga_pack *pack, const ga_decision *d,
                              ga_buf *out, ga_error *err)
{
    const ga_pack_view *view = ga__pack_view(pack);
    ga_status rc =
        ga__buf_append(out, view->heading.ptr, view->heading.len, err);
    for (size_t i = 0; i < d->chosen && !rc; i++) {
        ga_guideline_view g;
        rc = ga_pack_guideline(pack, d->candidates[i].index, &g, err);
        if (!rc)
            rc = ga__buf_append(out, "\n- ", 3, err);
        if (!rc)
            rc = ga__render_guideline(g.title, g.text, out, err);
    }
    return rc;
}

/* The message that changes and whether a new one is put in front of it. */
typedef struct {
    size_t at;
    bool insert, block_first;
} place;

static place find_place(const ga_message *messages, size_t n,
                        ga_position position)
{
    size_t last_user = n;
    for (size_t i = 0; i < n; i++) {
        if (messages[i].role == GA_ROLE_USER)
            last_user = i;
    }
    bool of_user = position == GA_POSITION_USER_PREFIX ||
                   position == GA_POSITION_USER_SUFFIX;
    if (position == GA_POSITION_SYSTEM || (of_user && last_user == n)) {
        if (n > 0 && messages[0].role == GA_ROLE_SYSTEM)
            return (place){.at = 0};
        return (place){.at = 0, .insert = true};
    }
    if (position == GA_POSITION_LAST_SYSTEM) {
        /* in front of the whole run: what the user says stays together */
        while (last_user > 0 && last_user < n &&
               messages[last_user - 1].role == GA_ROLE_USER)
            last_user--;
        return (place){.at = last_user, .insert = true};
    }
    return (place){.at = last_user,
                   .block_first = position == GA_POSITION_USER_PREFIX};
}

/* The text of the message: the block alone, or with what was there. */
static ga_status render_message(const ga_pack *pack, const ga_decision *d,
                                place p, ga_str old, ga_buf *out, ga_error *err)
{
    ga_status rc = GA_OK;
    if (p.insert)
        return render_block(pack, d, out, err);
    if (!p.block_first) {
        rc = ga__buf_append(out, old.ptr, old.len, err);
        if (!rc && old.len > 0)
            rc = ga__buf_append(out, "\n\n", 2, err);
    }
    if (!rc)
        rc = render_block(pack, d, out, err);
    if (!rc && p.block_first && old.len > 0) {
        rc = ga__buf_append(out, "\n\n", 2, err);
        if (!rc)
            rc = ga__buf_append(out, old.ptr, old.len, err);
    }
    return rc;
}

ga_status ga_compose(const ga_pack *pack, const ga_decision *d,
                     const ga_message *messages, size_t n, ga_position position,
                     ga_composed **out, ga_error *err)
{
    if (!pack || !d || (n > 0 && !messages) || !out ||
        !ga_position_name(position))
        return ga__fail(err, GA_INVAL, "ga_compose: bad argument");
    *out = NULL;
    ga_composed *c = ga__calloc(1, sizeof(*c));
    if (!c)
        return ga__fail_nomem(err, sizeof(*c));
    ga__buf_init(&c->text, GA_MAX_TEXT_BYTES +
                               GA_MAX_K * (GA_MAX_GUIDELINE_BYTES +
                                           GA_MAX_TITLE_BYTES + 8) +
                               GA_MAX_CONFIG_BYTES);
    c->messages = ga__calloc(n + 1, sizeof(*c->messages));
    ga_status rc = c->messages ? GA_OK : ga__fail_nomem(err, n);
    if (c->messages && n > 0)
        memcpy(c->messages, messages, n * sizeof(*messages));
    c->n = n;
    if (!rc && d->chosen > 0) {
        place p = find_place(messages, n, position);
        ga_str old = p.insert ? (ga_str){"", 0} : messages[p.at].text;
        rc = render_message(pack, d, p, old, &c->text, err);
        if (p.insert) {
            memmove(c->messages + p.at + 1, c->messages + p.at,
                    (n - p.at) * sizeof(*messages));
            c->messages[p.at].role = GA_ROLE_SYSTEM;
            c->n = n + 1;
        }
        c->messages[p.at].text = (ga_str){c->text.ptr, c->text.len};
    }
    if (rc) {
        ga_composed_free(c);
        return rc;
    }
    *out = c;
    return GA_OK;
}

const ga_message *ga_composed_messages(const ga_composed *c, size_t *n)
{
    *n = c->n;
    return c->messages;
}

void ga_composed_free(ga_composed *c)
{
    if (!c)
        return;
    ga__buf_free(&c->text);
    free(c->messages);
    free(c);
}
