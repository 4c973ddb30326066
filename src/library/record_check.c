/* record_check.c: what a guideline may be.  The limits are those of limits.h;
 * a record that passes fits into every store and pack. */
#include <stdio.h>
#include <utf8proc.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "library/record_internal.h"

const char *ga__quoted(ga_str text, char out[GA_QUOTED_BYTES])
{
    enum { ROOM = GA_QUOTED_BYTES - 8 }; /* a character, dots and the NUL */
    size_t pos = 0, n = 0;
    while (pos < text.len && n < ROOM) {
        uint32_t c = ga__utf8_next(text, &pos);
        if (c == GA_UTF8_INVALID || c < 0x20 || (c >= 0x7F && c < 0xA0))
            c = '?';
        n += ga__utf8_put(out + n, c);
    }
    if (pos < text.len) {
        memcpy(out + n, "...", 3);
        n += 3;
    }
    out[n] = '\0';
    return out;
}

bool ga__text_blank(ga_str text)
{
    for (size_t pos = 0; pos < text.len;) {
        uint32_t c = ga__utf8_next(text, &pos);
        if (c == GA_UTF8_INVALID)
            return false;
        if (c < 0x80) {
            if (c > 0x20 && c != 0x7F)
                return false;
            continue;
        }
        /* separators, controls, marks of direction: nothing to see */
        switch (utf8proc_category((utf8proc_int32_t)c)) {
        case UTF8PROC_CATEGORY_ZS:
        case UTF8PROC_CATEGORY_ZL:
        case UTF8PROC_CATEGORY_ZP:
        case UTF8PROC_CATEGORY_CC:
        case UTF8PROC_CATEGORY_CF:
            break;
        default:
            return false;
        }
    }
    return true;
}

bool ga__text_control(ga_str text)
{
    for (size_t pos = 0; pos < text.len;) {
        uint32_t c = ga__utf8_next(text, &pos);
        if (c < 0x20 || (c >= 0x7F && c < 0xA0))
            return true;
    }
    return false;
}

/* What one string may be. */
typedef struct {
    size_t max; /* bytes */
    bool one_line, optional;
    bool decoded; /* by a JSON parser, so it is valid UTF-8 */
} text_rule;

/* The field, or the nth item of it: names for messages, which few records
 * need. */
typedef struct {
    const char *field;
    size_t item; /* 0: the field itself */
} place;

static ga_status fail_at(place at, ga_status status, const char *what,
                         ga_error *err)
{
    if (at.item > 0)
        return ga__fail(err, status, "\"%s\" item %zu %s", at.field, at.item,
                        what);
    return ga__fail(err, status, "\"%s\" %s", at.field, what);
}

static ga_status check_text(place at, ga_str text, text_rule rule,
                            ga_error *err)
{
    char what[80];
    if (text.len > rule.max) {
        snprintf(what, sizeof(what), "has %zu bytes, the limit is %zu",
                 text.len, rule.max);
        return fail_at(at, GA_LIMIT, what, err);
    }
    size_t bad = rule.decoded ? text.len : ga__utf8_invalid_at(text);
    if (bad < text.len) {
        snprintf(what, sizeof(what), "is invalid UTF-8 at byte %zu", bad);
        return fail_at(at, GA_INVAL, what, err);
    }
    if (text.len == 0)
        return rule.optional ? GA_OK : fail_at(at, GA_INVAL, "is empty", err);
    if (ga__text_blank(text))
        return fail_at(at, GA_INVAL, "is blank", err);
    if (memchr(text.ptr, '\0', text.len))
        return fail_at(at, GA_INVAL, "has a NUL character", err);
    if (rule.one_line && ga__text_control(text))
        return fail_at(at, GA_INVAL, "has a control character", err);
    return GA_OK;
}

static ga_status check_list(const char *name, ga_str_list list, size_t most,
                            text_rule rule, ga_error *err)
{
    ga_status rc = GA_OK;
    if (list.count > most)
        return ga__fail(err, GA_LIMIT, "\"%s\" has %zu items, the limit is %zu",
                        name, list.count, most);
    for (size_t i = 0; i < list.count && !rc; i++)
        rc = check_text((place){name, i + 1}, list.items[i], rule, err);
    return rc;
}

/* A list of names: short, and each of them once. */
static ga_status check_tags(const char *name, ga_str_list list, bool decoded,
                            ga_error *err)
{
    const text_rule rule = {GA_MAX_TAG_BYTES, true, false, decoded};
    ga_status rc = check_list(name, list, GA_MAX_TAGS, rule, err);
    for (size_t i = 1; i < list.count && !rc; i++) {
        for (size_t j = 0; j < i && !rc; j++) {
            char quoted[GA_QUOTED_BYTES];
            if (ga__str_equal(list.items[i], list.items[j]))
                rc = ga__fail(err, GA_INVAL, "\"%s\" has '%s' twice", name,
                              ga__quoted(list.items[i], quoted));
        }
    }
    return rc;
}

static ga_status check_risks(ga_str_list risks, bool decoded, ga_error *err)
{
    for (size_t i = 0; i < risks.count; i++) {
        char quoted[GA_QUOTED_BYTES];
        if (ga__risk_find(risks.items[i]) == GA_RISK_COUNT)
            return ga__fail(err, GA_INVAL,
                            "\"risks\" has '%s', which is none of the %d risk "
                            "types",
                            ga__quoted(risks.items[i], quoted), GA_RISK_COUNT);
    }
    return check_tags("risks", risks, decoded, err);
}

static size_t list_bytes(ga_str_list list)
{
    size_t n = 0;
    for (size_t i = 0; i < list.count; i++)
        n += list.items[i].len;
    return n;
}

/* What is exported must fit into a line again; escapes may need six times the
 * bytes, so only a record that could be too long is written to find out. */
static ga_status check_size(const ga_guideline *g, ga_error *err)
{
    enum { OTHER = 64 << 10 }; /* keys, and the fields with small limits */
    size_t n = g->text.len + g->source.len + list_bytes(g->triggers) +
               list_bytes(g->non_triggers);
    if (n * 6 + OTHER <= GA_MAX_LINE_BYTES)
        return GA_OK;
    ga_buf json;
    ga__buf_init(&json, GA_MAX_LINE_BYTES);
    ga_status rc = ga__guideline_json(g, &json, err);
    if (rc == GA_LIMIT)
        rc = ga__fail(err, GA_LIMIT, "record over %u bytes", GA_MAX_LINE_BYTES);
    ga__buf_free(&json);
    return rc;
}

ga_status ga__guideline_check_fields(const ga_guideline *g, bool decoded,
                                     ga_error *err)
{
    const text_rule id = {GA_MAX_ID_BYTES, true, false, decoded},
                    title = {GA_MAX_TITLE_BYTES, true, true, decoded},
                    text = {GA_MAX_GUIDELINE_BYTES, false, false, decoded},
                    trigger = {GA_MAX_TRIGGER_BYTES, false, false, decoded};
    ga_status rc;
    if (g->priority > 9)
        return ga__fail(err, GA_INVAL,
                        "\"priority\" must be a whole number from 0 to 9");
    if (g->source.len > GA_MAX_SOURCE_BYTES)
        return ga__fail(err, GA_LIMIT,
                        "\"source\" has %zu bytes, the limit is %u",
                        g->source.len, GA_MAX_SOURCE_BYTES);
    (void)((rc = check_text((place){"id", 0}, g->id, id, err)) ||
           (rc = check_text((place){"title", 0}, g->title, title, err)) ||
           (rc = check_text((place){"text", 0}, g->text, text, err)) ||
           (rc = check_risks(g->risks, decoded, err)) ||
           (rc = check_tags("topics", g->topics, decoded, err)) ||
           (rc = check_tags("scope", g->scope, decoded, err)) ||
           (rc = check_list("triggers", g->triggers, GA_MAX_TRIGGERS, trigger,
                            err)) ||
           (rc = check_list("non_triggers", g->non_triggers, GA_MAX_TRIGGERS,
                            trigger, err)) ||
           (rc = check_size(g, err)));
    return rc;
}

ga_status ga__guideline_check(const ga_guideline *g, ga_error *err)
{
    ga_json doc = GA_JSON_INIT;
    ga_buf canonical;
    ga__buf_init(&canonical, GA_MAX_SOURCE_BYTES);
    ga_status rc = ga__guideline_check_fields(g, false, err);
    if (!rc && g->source.len > 0) {
        rc = ga__json_parse(&doc, g->source, err);
        if (rc)
            ga__error_prefix(err, "\"source\"");
        else
            rc = ga__source_json(&doc, 0, &canonical, err);
    }
    if (!rc && (canonical.len != g->source.len ||
                (canonical.len > 0 &&
                 memcmp(canonical.ptr, g->source.ptr, canonical.len) != 0)))
        rc = ga__fail(err, GA_INVAL, "\"source\" is not in canonical form");
    ga__buf_free(&canonical);
    ga__json_free(&doc);
    return rc;
}
