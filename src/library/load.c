/* load.c: a whole library in memory. */
#include "library/load.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "library/jsonl_internal.h"

typedef struct {
    ga_guideline_set *set;
    const ga_store_filter *filter;
    ga_json doc; /* scratch */
    ga_buf json; /* scratch */
    /* ids of all files, and the one that is read */
    ga_jsonl seen;
    const char *file;
} loader;

/* A record keeps its strings only for a moment, so what is taken is read once
 * more into the set's own memory. */
static ga_status add(loader *l, ga_str json, ga_error *err)
{
    ga_guideline_set *set = l->set;
    void *items = set->items;
    if (!ga__grow(&items, &set->cap, set->count + 1, sizeof(*set->items)))
        return ga__fail_nomem(err, set->count * sizeof(*set->items));
    set->items = items;
    ga_status rc = ga__guideline_parse(json, &l->doc, &set->arena,
                                       &set->items[set->count], NULL, err);
    set->count += rc ? 0 : 1;
    return rc;
}

static ga_status add_record(void *arg, const ga_record *record, ga_error *err)
{
    loader *l = arg;
    if (l->filter && !ga__store_matches(l->filter, &record->guideline))
        return GA_OK;
    ga__buf_clear(&l->json);
    ga_status rc = ga__guideline_json(&record->guideline, &l->json, err);
    return rc ? rc : add(l, (ga_str){l->json.ptr, l->json.len}, err);
}

static ga_status add_row(void *arg, const ga_store_row *row, ga_error *err)
{
    loader *l = arg;
    ga_status rc =
        ga__jsonl_claim(&l->seen, row->guideline->id, l->file, 0, err);
    if (rc) {
        ga__error_prefix(err, "%s", l->file);
        return rc;
    }
    if (l->filter && !ga__store_matches(l->filter, row->guideline))
        return GA_OK;
    return add(l, row->json, err);
}

static ga_status load_store(loader *l, const char *path, ga_error *err)
{
    ga_store *store = NULL;
    ga_status rc = ga__jsonl_name(&l->seen, path, &l->file, err);
    if (!rc)
        rc = ga__store_open(path, GA_STORE_READ, &store, err);
    if (!rc)
        rc = ga__store_list(store, GA_STORE_HEAD, NULL, add_row, l, err);
    ga__store_close(store);
    return rc;
}

static ga_status load_lines(loader *l, FILE *in, const char *name,
                            ga_error *err)
{
    ga_status rc = ga__jsonl_read(&l->seen, in, name, add_record, l, err);
    if (!rc && l->seen.rejected > 0)
        rc = ga__fail(err, GA_FORMAT, "%s", l->seen.errors[0].message);
    return rc;
}

static ga_status load_path(loader *l, const char *path, ga_error *err)
{
    static const char magic[] = "SQLite format 3"; /* and its NUL */
    char head[sizeof(magic)];
    if (strcmp(path, "-") == 0)
        return load_lines(l, stdin, "standard input", err);
    FILE *in = fopen(path, "rb");
    if (!in) {
        ga_status rc = ga__fail_errno(err, "cannot open '%s'", path);
        return errno == ENOENT ? GA_NOTFOUND : rc;
    }
    bool store = fread(head, 1, sizeof(head), in) == sizeof(head) &&
                 memcmp(head, magic, sizeof(magic)) == 0;
    clearerr(in);
    rewind(in);
    ga_status rc = store ? GA_OK : load_lines(l, in, path, err);
    fclose(in);
    return store ? load_store(l, path, err) : rc;
}

ga_status ga__guidelines_load(const char *const *paths, size_t count,
                              const ga_store_filter *filter,
                              ga_guideline_set *out, ga_error *err)
{
    loader l = {.set = out, .filter = filter};
    ga_status rc = GA_OK;
    *out = GA_GUIDELINE_SET_INIT;
    ga__buf_init(&l.json, GA_MAX_LINE_BYTES);
    for (size_t i = 0; i < count && !rc; i++)
        rc = load_path(&l, paths[i], err);
    if (rc)
        ga__guidelines_free(out);
    ga__jsonl_free(&l.seen);
    ga__buf_free(&l.json);
    ga__json_free(&l.doc);
    return rc;
}

void ga__guidelines_free(ga_guideline_set *set)
{
    free(set->items);
    ga__arena_free(&set->arena);
    *set = GA_GUIDELINE_SET_INIT;
}
