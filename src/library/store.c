/* store.c: what a change to the library means, whatever keeps it. */
#include "library/store.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "library/record_internal.h"
#include "library/store_internal.h"

ga_status ga__store_open(const char *location, ga_store_mode mode,
                         ga_store **out, ga_error *err)
{
    *out = NULL;
    if (strncmp(location, "postgres://", 11) == 0 ||
        strncmp(location, "postgresql://", 13) == 0)
        return ga__fail(err, GA_UNSUPPORTED,
                        "'%s': libraries in PostgreSQL are not supported yet",
                        location);
    if (!*location)
        return ga__fail(err, GA_INVAL, "the name of the library is empty");
    return ga__store_sqlite_open(location, mode, out, err);
}

void ga__store_close(ga_store *s)
{
    if (!s)
        return;
    ga__store_abort(s);
    ga__buf_free(&s->json);
    ga__record_free(&s->record);
    free(s->location);
    s->location = NULL;
    s->ops->close(s);
}

ga_status ga__store_head(ga_store *s, uint64_t *version, ga_error *err)
{
    return s->ops->head(s, version, err);
}

ga_status ga__store_find_version(ga_store *s, uint64_t *version, ga_error *err)
{
    uint64_t head = 0;
    ga_status rc = s->ops->head(s, &head, err);
    if (rc)
        return rc;
    if (*version == GA_STORE_HEAD)
        *version = head;
    if (*version > head)
        return ga__fail(err, GA_NOTFOUND,
                        "there is no version %llu, the newest is %llu",
                        (unsigned long long)*version, (unsigned long long)head);
    return GA_OK;
}

/* What is kept was checked on its way in: if it cannot be read, it was not us
 * who wrote it. */
static ga_status parse_cell(ga_store *s, const ga_store_cell *cell,
                            ga_record *out, ga_error *err)
{
    char quoted[GA_QUOTED_BYTES];
    ga_error why = {""};
    ga_status rc = ga__record_parse(out, cell->json, &why);
    if (!rc && !ga__str_equal(out->guideline.id, cell->id))
        rc = ga__fail(&why, GA_FORMAT, "its id is another");
    if (!rc || rc == GA_NOMEM)
        return rc ? ga__fail(err, rc, "%s", why.msg) : GA_OK;
    return ga__fail(err, GA_FORMAT,
                    "'%s' is damaged: record '%s' of version %llu: %s",
                    s->location, ga__quoted(cell->id, quoted),
                    (unsigned long long)cell->version, why.msg);
}

/* ---- changing ---- */

static ga_status check_change_text(const char *name, ga_str text, size_t max,
                                   bool optional, ga_error *err)
{
    if (text.len > max)
        return ga__fail(err, GA_LIMIT, "the %s has %zu bytes, the limit is %zu",
                        name, text.len, max);
    if (ga__utf8_invalid_at(text) < text.len)
        return ga__fail(err, GA_INVAL, "the %s is invalid UTF-8", name);
    if (text.len > 0 && memchr(text.ptr, '\0', text.len))
        return ga__fail(err, GA_INVAL, "the %s has a NUL character", name);
    if (!optional && ga__text_blank(text))
        return ga__fail(err, GA_INVAL, "the %s is empty", name);
    return GA_OK;
}

ga_status ga__store_begin(ga_store *s, const ga_change *change, ga_error *err)
{
    ga_status rc;
    if (s->version)
        return ga__fail(err, GA_INVAL, "a change is under way");
    (void)((rc = check_change_text("author", change->author,
                                   GA_MAX_AUTHOR_BYTES, false, err)) ||
           (rc = check_change_text("action", change->action,
                                   GA_MAX_ACTION_BYTES, false, err)) ||
           (rc = check_change_text("reason", change->reason,
                                   GA_MAX_REASON_BYTES, true, err)));
    s->writes = 0;
    return rc ? rc : s->ops->begin(s, change, &s->version, err);
}

ga_status ga__store_commit(ga_store *s, uint64_t *version, ga_error *err)
{
    *version = 0;
    if (!s->version)
        return ga__fail(err, GA_INVAL, "no change is under way");
    if (s->writes == 0) {
        ga__store_abort(s);
        return GA_OK;
    }
    ga_status rc = s->ops->commit(s, err);
    if (rc) {
        ga__store_abort(s);
        return rc;
    }
    *version = s->version;
    s->version = 0;
    return GA_OK;
}

void ga__store_abort(ga_store *s)
{
    if (s->version)
        s->ops->abort(s);
    s->version = 0;
}

static ga_status write_cell(ga_store *s, ga_str id, ga_str json, ga_error *err)
{
    ga_status rc = s->ops->write(s, id, json, err);
    if (!rc)
        s->writes++;
    return rc;
}

static ga_status missing(ga_str id, ga_error *err)
{
    char quoted[GA_QUOTED_BYTES];
    return ga__fail(err, GA_NOTFOUND, "there is no guideline '%s'",
                    ga__quoted(id, quoted));
}

/* May this put take the place of what is there, which differs? */
static ga_status check_put(ga_store *s, const ga_store_cell *cell,
                           const ga_put_options *options, ga_error *err)
{
    char quoted[GA_QUOTED_BYTES];
    ga__quoted(cell->id, quoted);
    if (cell->version == s->version)
        return ga__fail(err, GA_EXISTS, "'%s' is in this change already",
                        quoted);
    if (options->mode == GA_PUT_ADD || options->mode == GA_PUT_IMPORT)
        return ga__fail(err, GA_EXISTS, "there is another guideline '%s'",
                        quoted);
    return GA_OK;
}

static ga_status check_expected(ga_str id, uint64_t version, uint64_t expected,
                                ga_error *err)
{
    char quoted[GA_QUOTED_BYTES];
    if (expected == 0 || expected == version)
        return GA_OK;
    return ga__fail(err, GA_CONFLICT,
                    "'%s' was changed in version %llu, by somebody else",
                    ga__quoted(id, quoted), (unsigned long long)version);
}

/* Is the record there this one, except perhaps for its status? */
static ga_status same_but_status(ga_store *s, const ga_store_cell *cell,
                                 const ga_guideline *g, bool *same,
                                 ga_error *err)
{
    ga_guideline like = *g;
    ga_status rc = parse_cell(s, cell, &s->record, err);
    if (rc)
        return rc;
    like.status = s->record.guideline.status;
    ga__buf_clear(&s->json);
    rc = ga__guideline_json(&like, &s->json, err);
    *same =
        !rc && ga__str_equal((ga_str){s->json.ptr, s->json.len}, cell->json);
    if (rc || *same)
        return rc;
    ga__buf_clear(&s->json);
    return ga__guideline_json(g, &s->json, err);
}

ga_status ga__store_put(ga_store *s, const ga_guideline *g,
                        const ga_put_options *options, ga_put_result *result,
                        ga_error *err)
{
    ga_store_cell cell;
    bool found = false;
    if (!s->version)
        return ga__fail(err, GA_INVAL, "no change is under way");
    ga_status rc = ga__guideline_check(g, err);
    if (rc)
        return rc;
    ga__buf_clear(&s->json);
    rc = ga__guideline_json(g, &s->json, err);
    if (!rc)
        rc = s->ops->read(s, g->id, s->version, &cell, &found, err);
    if (rc)
        return rc;
    bool there = found && cell.json.len > 0;
    if (!there && options->mode == GA_PUT_EDIT)
        return missing(g->id, err);
    if (found) {
        rc = check_expected(g->id, cell.version, options->expected, err);
        bool same =
            ga__str_equal((ga_str){s->json.ptr, s->json.len}, cell.json);
        if (!rc && there && !same && options->any_status)
            rc = same_but_status(s, &cell, g, &same, err);
        *result = GA_PUT_UNCHANGED;
        if (rc || (same && options->mode != GA_PUT_ADD))
            return rc;
        if (there || cell.version == s->version)
            rc = check_put(s, &cell, options, err);
    }
    if (!rc)
        rc = write_cell(s, g->id, (ga_str){s->json.ptr, s->json.len}, err);
    *result = there ? GA_PUT_UPDATED : GA_PUT_ADDED;
    return rc;
}

ga_status ga__store_set_status(ga_store *s, ga_str id,
                               ga_guideline_status status, bool *changed,
                               ga_error *err)
{
    const ga_put_options options = {.mode = GA_PUT_EDIT};
    ga_put_result result = GA_PUT_UNCHANGED;
    ga_record record = GA_RECORD_INIT;
    if (!s->version)
        return ga__fail(err, GA_INVAL, "no change is under way");
    ga_status rc = ga__store_get(s, id, s->version, &record, NULL, err);
    if (!rc) {
        record.guideline.status = status;
        rc = ga__store_put(s, &record.guideline, &options, &result, err);
    }
    *changed = result == GA_PUT_UPDATED;
    ga__record_free(&record);
    return rc;
}

/* ---- several ids at once ---- */

typedef struct {
    ga_str *items;
    size_t count, cap;
    ga_arena arena;
} id_list;

static ga_status add_id(void *arg, ga_str id, ga_error *err)
{
    id_list *list = arg;
    void *items = list->items;
    char *copy = ga__arena_alloc(&list->arena, id.len, 1);
    if (!copy || !ga__grow(&items, &list->cap, list->count + 1, sizeof(id)))
        return ga__fail_nomem(err, id.len);
    memcpy(copy, id.ptr, id.len);
    list->items = items;
    list->items[list->count++] = (ga_str){copy, id.len};
    return GA_OK;
}

static void free_ids(id_list *list)
{
    free(list->items);
    ga__arena_free(&list->arena);
}

/* The bytes of a record at a version, in `out`; empty when it is not there. */
static ga_status read_json(ga_store *s, ga_str id, uint64_t version,
                           ga_buf *out, uint64_t *changed, ga_error *err)
{
    ga_store_cell cell;
    bool found = false;
    ga__buf_clear(out);
    ga_status rc = s->ops->read(s, id, version, &cell, &found, err);
    if (!rc && found)
        rc = ga__buf_append(out, cell.json.ptr, cell.json.len, err);
    *changed = found ? cell.version : 0;
    return rc;
}

static ga_str buf_str(const ga_buf *b)
{
    return (ga_str){b->ptr, b->len};
}

ga_status ga__store_rollback(ga_store *s, uint64_t to, size_t *count,
                             ga_error *err)
{
    id_list ids = {0};
    ga_buf old, now;
    *count = 0;
    ga__buf_init(&old, GA_MAX_LINE_BYTES);
    ga__buf_init(&now, GA_MAX_LINE_BYTES);
    if (!s->version || s->writes > 0)
        return ga__fail(err, GA_INVAL, "a rollback is a change of its own");
    ga_status rc = GA_OK;
    if (to >= s->version) {
        uint64_t head = s->version - 1;
        rc = ga__fail(err, GA_NOTFOUND,
                      "there is no version %llu, the newest is %llu",
                      (unsigned long long)to, (unsigned long long)head);
    }
    if (!rc)
        rc = s->ops->changed(s, to, s->version - 1, add_id, &ids, err);
    for (size_t i = 0; i < ids.count && !rc; i++) {
        uint64_t unused;
        (void)((rc = read_json(s, ids.items[i], to, &old, &unused, err)) ||
               (rc = read_json(s, ids.items[i], s->version, &now, &unused,
                               err)));
        if (rc || ga__str_equal(buf_str(&old), buf_str(&now)))
            continue;
        rc = write_cell(s, ids.items[i], buf_str(&old), err);
        *count += rc ? 0 : 1;
    }
    ga__buf_free(&now);
    ga__buf_free(&old);
    free_ids(&ids);
    return rc;
}

/* ---- reading ---- */

ga_status ga__store_get(ga_store *s, ga_str id, uint64_t version,
                        ga_record *out, uint64_t *changed, ga_error *err)
{
    ga_store_cell cell;
    bool found = false;
    ga_status rc = s->ops->read(s, id, version, &cell, &found, err);
    if (rc)
        return rc;
    if (!found || cell.json.len == 0)
        return missing(id, err);
    if (changed)
        *changed = cell.version;
    return parse_cell(s, &cell, out, err);
}

/* The characters of two texts compared without their case. */
static uint32_t next_folded(ga_str s, size_t *pos)
{
    uint32_t c = ga__utf8_next(s, pos);
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
}

static bool starts_with(ga_str text, size_t at, ga_str part)
{
    size_t i = 0;
    while (i < part.len) {
        if (at >= text.len || next_folded(text, &at) != next_folded(part, &i))
            return false;
    }
    return true;
}

static bool contains(ga_str text, ga_str part)
{
    for (size_t at = 0; at < text.len; (void)ga__utf8_next(text, &at)) {
        if (starts_with(text, at, part))
            return true;
    }
    return part.len == 0;
}

static bool has(ga_str_list list, ga_str name)
{
    for (size_t i = 0; i < list.count; i++) {
        if (ga__str_equal(list.items[i], name))
            return true;
    }
    return false;
}

bool ga__store_matches(const ga_store_filter *f, const ga_guideline *g)
{
    return (!f->by_status || f->status == g->status) &&
           (!f->by_kind || f->kind == g->kind) &&
           (!f->by_risk || has(g->risks, ga__str(ga__risk_name(f->risk)))) &&
           (f->topic.len == 0 || has(g->topics, f->topic)) &&
           (f->scope.len == 0 || has(g->scope, f->scope)) &&
           (f->text.len == 0 || contains(g->id, f->text) ||
            contains(g->title, f->text) || contains(g->text, f->text));
}

typedef struct {
    ga_store *store;
    const ga_store_filter *filter;
    ga_store_row_fn fn;
    void *arg;
} listing;

static ga_status list_cell(void *arg, const ga_store_cell *cell, ga_error *err)
{
    const listing *l = arg;
    ga_record *record = &l->store->record;
    ga_status rc = parse_cell(l->store, cell, record, err);
    if (rc || (l->filter && !ga__store_matches(l->filter, &record->guideline)))
        return rc;
    const ga_store_row row = {&record->guideline, cell->json, cell->version};
    return l->fn(l->arg, &row, err);
}

ga_status ga__store_list(ga_store *s, uint64_t version,
                         const ga_store_filter *filter, ga_store_row_fn fn,
                         void *arg, ga_error *err)
{
    listing l = {s, filter, fn, arg};
    ga_status rc = ga__store_find_version(s, &version, err);
    return rc ? rc : s->ops->scan(s, version, list_cell, &l, err);
}

typedef struct {
    ga_store_version_fn fn;
    void *arg;
    size_t count;
} history;

static ga_status count_version(void *arg, const ga_store_version *v,
                               ga_error *err)
{
    history *h = arg;
    h->count++;
    return h->fn(h->arg, v, err);
}

ga_status ga__store_history(ga_store *s, ga_str id, ga_store_version_fn fn,
                            void *arg, ga_error *err)
{
    history h = {fn, arg, 0};
    ga_status rc = s->ops->history(s, id, count_version, &h, err);
    return !rc && h.count == 0 && id.len > 0 ? missing(id, err) : rc;
}

typedef struct {
    ga_buf json;
    ga_record record;
} side;

static ga_status read_side(ga_store *s, ga_str id, uint64_t version, side *out,
                           ga_error *err)
{
    uint64_t changed;
    ga_status rc = read_json(s, id, version, &out->json, &changed, err);
    if (rc || out->json.len == 0)
        return rc;
    const ga_store_cell cell = {id, changed, buf_str(&out->json)};
    return parse_cell(s, &cell, &out->record, err);
}

ga_status ga__store_diff(ga_store *s, uint64_t before, uint64_t after,
                         ga_store_diff_fn fn, void *arg, ga_error *err)
{
    id_list ids = {0};
    side a = {0}, b = {0};
    ga__buf_init(&a.json, GA_MAX_LINE_BYTES);
    ga__buf_init(&b.json, GA_MAX_LINE_BYTES);
    ga_status rc = ga__store_find_version(s, &before, err);
    if (!rc)
        rc = ga__store_find_version(s, &after, err);
    if (!rc)
        rc =
            s->ops->changed(s, before < after ? before : after,
                            before < after ? after : before, add_id, &ids, err);
    for (size_t i = 0; i < ids.count && !rc; i++) {
        (void)((rc = read_side(s, ids.items[i], before, &a, err)) ||
               (rc = read_side(s, ids.items[i], after, &b, err)));
        if (rc || ga__str_equal(buf_str(&a.json), buf_str(&b.json)))
            continue;
        rc = fn(arg, ids.items[i], a.json.len ? &a.record : NULL,
                b.json.len ? &b.record : NULL, err);
    }
    ga__buf_free(&b.json);
    ga__buf_free(&a.json);
    ga__record_free(&b.record);
    ga__record_free(&a.record);
    free_ids(&ids);
    return rc;
}
