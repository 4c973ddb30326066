/* jsonl.c: guideline records as lines of a file. */
#include "library/jsonl.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/sha256.h"
#include "library/jsonl_internal.h"
#include "library/record_internal.h"

/* ---- ids seen ---- */

typedef struct {
    uint64_t hash; /* 0: free */
    ga_str id;
    const char *file;
    size_t line;
} entry;

struct ga_jsonl_seen {
    entry *table;
    size_t size; /* a power of two */
    size_t count;
    ga_arena arena; /* of ids and file names */
};

/* Of a hash that nobody can aim at, so that no file makes the table slow. */
static uint64_t hash_of(ga_str id)
{
    uint8_t digest[32];
    uint64_t h = 0;
    ga__sha256_of(id.ptr, id.len, digest);
    for (size_t i = 0; i < sizeof(h); i++)
        h = h << 8 | digest[i];
    return h ? h : 1;
}

static entry *find_entry(entry *table, size_t size, uint64_t hash, ga_str id)
{
    size_t i = (size_t)hash & (size - 1);
    while (table[i].hash != 0 &&
           (table[i].hash != hash || !ga__str_equal(table[i].id, id)))
        i = (i + 1) & (size - 1);
    return &table[i];
}

/* Room for one more at a load of a half. */
static bool reserve_entry(struct ga_jsonl_seen *seen)
{
    if (seen->size > 0 && seen->count < seen->size / 2)
        return true;
    size_t size = seen->size ? seen->size * 2 : 1024;
    entry *table = ga__calloc(size, sizeof(*table));
    if (!table)
        return false;
    for (size_t i = 0; i < seen->size; i++) {
        const entry *e = &seen->table[i];
        if (e->hash != 0)
            *find_entry(table, size, e->hash, e->id) = *e;
    }
    free(seen->table);
    seen->table = table;
    seen->size = size;
    return true;
}

static const char *copy_bytes(ga_arena *arena, const char *bytes, size_t len)
{
    char *copy = ga__arena_alloc(arena, len + 1, 1);
    if (copy) {
        memcpy(copy, bytes, len);
        copy[len] = '\0';
    }
    return copy;
}

ga_status ga__jsonl_name(ga_jsonl *j, const char *name, const char **out,
                         ga_error *err)
{
    if (!j->seen)
        j->seen = ga__calloc(1, sizeof(*j->seen));
    if (j->seen)
        *out = copy_bytes(&j->seen->arena, name, strlen(name));
    return j->seen && *out ? GA_OK : ga__fail_nomem(err, strlen(name));
}

ga_status ga__jsonl_claim(ga_jsonl *j, ga_str id, const char *file, size_t line,
                          ga_error *err)
{
    struct ga_jsonl_seen *seen = j->seen;
    char quoted[GA_QUOTED_BYTES];
    uint64_t hash = hash_of(id);
    if (!reserve_entry(seen))
        return ga__fail_nomem(err, seen->size * sizeof(entry));
    entry *e = find_entry(seen->table, seen->size, hash, id);
    if (e->hash != 0 && e->line == 0)
        return ga__fail(err, GA_EXISTS, "id '%s' is in '%s' already",
                        ga__quoted(id, quoted), e->file);
    if (e->hash != 0)
        return ga__fail(err, GA_EXISTS, "id '%s' stands in %s:%zu already",
                        ga__quoted(id, quoted), e->file, e->line);
    if (seen->count >= GA_MAX_GUIDELINES)
        return ga__fail(err, GA_LIMIT, "more than %u guidelines",
                        GA_MAX_GUIDELINES);
    const char *copy = copy_bytes(&seen->arena, id.ptr, id.len);
    if (!copy)
        return ga__fail_nomem(err, id.len);
    *e = (entry){hash, {copy, id.len}, file, line};
    seen->count++;
    return GA_OK;
}

void ga__jsonl_free(ga_jsonl *j)
{
    if (j->seen) {
        ga__arena_free(&j->seen->arena);
        free(j->seen->table);
    }
    free(j->seen);
    *j = GA_JSONL_INIT;
}

/* ---- lines ---- */

typedef struct {
    FILE *in;
    const char *name;
    size_t number; /* of the line, from 1 */
    ga_buf line;
    bool over; /* the line is longer than it may be, and cut */
    size_t pos, len;
    char chunk[16384];
} line_reader;

/* More bytes; 0 at the end of the stream. */
static ga_status fill(line_reader *r, ga_error *err)
{
    r->pos = 0;
    r->len = fread(r->chunk, 1, sizeof(r->chunk), r->in);
    if (r->len == 0 && ferror(r->in))
        return ga__fail_errno(err, "cannot read '%s'", r->name);
    return GA_OK;
}

static ga_status next_line(line_reader *r, bool *end, ga_error *err)
{
    bool started = false, ended = false;
    ga__buf_clear(&r->line);
    r->over = false;
    r->number++;
    while (!ended) {
        ga_status rc = r->pos == r->len ? fill(r, err) : GA_OK;
        if (rc)
            return rc;
        if (r->len == 0)
            break;
        started = true;
        const char *from = r->chunk + r->pos;
        size_t left = r->len - r->pos;
        const char *newline = memchr(from, '\n', left);
        size_t n = newline ? (size_t)(newline - from) : left;
        ended = newline != NULL;
        r->pos += n + (ended ? 1 : 0);
        if (!r->over)
            rc = ga__buf_append(&r->line, from, n, err);
        if (rc == GA_LIMIT)
            r->over = true; /* the rest is read past */
        else if (rc)
            return rc;
    }
    *end = !started;
    if (r->line.len > 0 && r->line.ptr[r->line.len - 1] == '\r')
        r->line.len--;
    return GA_OK;
}

static bool is_blank(ga_str line)
{
    size_t i = 0;
    while (i < line.len && (line.ptr[i] == ' ' || line.ptr[i] == '\t'))
        i++;
    return i == line.len;
}

/* ---- records ---- */

static bool rejects(ga_status rc)
{
    return rc == GA_INVAL || rc == GA_FORMAT || rc == GA_LIMIT ||
           rc == GA_EXISTS || rc == GA_NOTFOUND;
}

static void note(ga_jsonl *j, const line_reader *r, ga_error *why)
{
    j->rejected++;
    ga__error_prefix(why, "%s:%zu", r->name, r->number);
    if (j->error_count == GA_JSONL_ERRORS)
        return;
    ga_jsonl_error *e = &j->errors[j->error_count++];
    snprintf(e->file, sizeof(e->file), "%s", r->name);
    snprintf(e->message, sizeof(e->message), "%s", why->msg);
    e->line = r->number;
}

static ga_status take_line(ga_jsonl *j, const line_reader *r, ga_record *record,
                           ga_jsonl_fn fn, void *arg, ga_error *err)
{
    ga_str line = {r->line.ptr, r->line.len};
    if (r->over)
        return ga__fail(err, GA_LIMIT, "line over %u bytes", GA_MAX_LINE_BYTES);
    ga_status rc = ga__record_parse(record, line, err);
    if (!rc)
        rc = ga__jsonl_claim(j, record->guideline.id, r->name, r->number, err);
    return rc ? rc : fn(arg, record, err);
}

ga_status ga__jsonl_read(ga_jsonl *j, FILE *in, const char *name,
                         ga_jsonl_fn fn, void *arg, ga_error *err)
{
    ga_record record = GA_RECORD_INIT;
    bool end = false;
    line_reader *r = ga__calloc(1, sizeof(*r));
    if (!r)
        return ga__fail_nomem(err, sizeof(*r));
    r->in = in;
    ga__buf_init(&r->line, GA_MAX_LINE_BYTES);
    ga_status rc = ga__jsonl_name(j, name, &r->name, err);
    while (!rc) {
        ga_error why = {""};
        rc = next_line(r, &end, err);
        if (rc || end)
            break;
        if (r->number == 1 && r->line.len >= 3 &&
            memcmp(r->line.ptr, "\xEF\xBB\xBF", 3) == 0) {
            r->line.len -= 3;
            memmove(r->line.ptr, r->line.ptr + 3, r->line.len);
        }
        if (!r->over && is_blank((ga_str){r->line.ptr, r->line.len}))
            continue;
        j->lines++;
        rc = take_line(j, r, &record, fn, arg, &why);
        if (rejects(rc)) {
            note(j, r, &why);
            rc = GA_OK;
        } else if (rc) {
            ga__fail(err, rc, "%s", why.msg);
        }
    }
    ga__record_free(&record);
    ga__buf_free(&r->line);
    free(r);
    return rc;
}
