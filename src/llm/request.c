/* request.c: one chat completion, from its body to its answer. */
#include "llm/request.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "base/utf8.h"

static const char *role_name(ga_role role)
{
    static const char *const names[] = {"system", "user", "assistant", "tool"};
    return names[role];
}

/* JSON is UTF-8 and has no infinity; jansson would leave out what is neither,
 * and the model would answer another question. */
static ga_status check_request(const ga_llm_request *r, const char *model,
                               ga_error *err)
{
    for (size_t i = 0; i < r->n; i++) {
        size_t at = ga__utf8_invalid_at(r->messages[i].text);
        if (at < r->messages[i].text.len)
            return ga__fail(err, GA_INVAL,
                            "message %zu is not UTF-8 at byte %zu", i, at);
    }
    if (model && ga__utf8_invalid_at(ga__str(model)) < strlen(model))
        return ga__fail(err, GA_INVAL, "the name of the model is not UTF-8");
    if (!isfinite(r->temperature))
        return ga__fail(err, GA_INVAL, "the temperature is no number");
    if (!isfinite(r->repeat_penalty))
        return ga__fail(err, GA_INVAL, "the repeat penalty is no number");
    return GA_OK;
}

/* NULL when memory is out. */
static json_t *messages_json(const ga_llm_request *r)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < r->n; i++) {
        ga_str text = r->messages[i].text;
        json_t *message = json_pack(
            "{s:s, s:o}", "role", role_name(r->messages[i].role), "content",
            json_stringn(text.len ? text.ptr : "", text.len));
        if (json_array_append_new(list, message)) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

typedef struct {
    ga_buf *out;
    ga_status rc;
    ga_error *err;
} dump_target;

static int dump_bytes(const char *bytes, size_t len, void *arg)
{
    dump_target *t = arg;
    if (!t->rc)
        t->rc = ga__buf_append(t->out, bytes, len, t->err);
    return t->rc ? -1 : 0;
}

/* json_dumps would leave out what it has no memory for: the first failure is
 * remembered here. */
static ga_status dump(const json_t *body, ga_buf *out, ga_error *err)
{
    dump_target t = {out, GA_OK, err};
    size_t before = out->len;
    if (json_dump_callback(body, dump_bytes, &t, JSON_COMPACT) && !t.rc)
        t.rc = ga__fail_nomem(err, 0);
    if (t.rc && out->ptr) {
        out->len = before;
        out->ptr[before] = '\0';
    }
    return t.rc;
}

ga_status ga__llm_body(const ga_llm_request *r, const char *model, ga_buf *out,
                       ga_error *err)
{
    ga_status rc = check_request(r, model, err);
    if (rc)
        return rc;
    json_t *body =
        json_pack("{s:o, s:b, s:{s:b}, s:f, s:i}", "messages", messages_json(r),
                  "stream", 1, "stream_options", "include_usage", 1,
                  "temperature", r->temperature, "seed", r->seed);
    bool ok = body != NULL;
    if (ok && model)
        ok = !json_object_set_new(body, "model", json_string(model));
    if (ok && r->max_tokens)
        ok = !json_object_set_new(body, "max_tokens",
                                  json_integer((json_int_t)r->max_tokens));
    if (ok && r->repeat_penalty > 0)
        ok = !json_object_set_new(body, "repeat_penalty",
                                  json_real(r->repeat_penalty));
    rc = ok ? dump(body, out, err) : ga__fail_nomem(err, 0);
    json_decref(body);
    return rc;
}

/* A count of tokens, 0 when it is none. */
static unsigned take_count(const json_t *count)
{
    json_int_t v = json_is_integer(count) ? json_integer_value(count) : 0;
    return v > 0 && v <= INT_MAX ? (unsigned)v : 0;
}

static void take_usage(const json_t *root, ga_llm_answer *a)
{
    const json_t *usage = json_object_get(root, "usage");
    if (!json_is_object(usage))
        return;
    a->prompt_tokens = take_count(json_object_get(usage, "prompt_tokens"));
    a->completion_tokens =
        take_count(json_object_get(usage, "completion_tokens"));
}

/* One choice, whose text stands in `holder`: "delta" or "message". */
static ga_status take_choice(const ga_llm_request *r, const json_t *root,
                             const char *holder, ga_llm_answer *a,
                             ga_error *err)
{
    const json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
    const json_t *content =
        json_object_get(json_object_get(choice, holder), "content");
    const char *finish =
        json_string_value(json_object_get(choice, "finish_reason"));
    if (finish) {
        size_t n = ga__utf8_prefix(ga__str(finish), sizeof(a->finish) - 1);
        memcpy(a->finish, finish, n);
        a->finish[n] = '\0';
    }
    if (!json_is_string(content) || json_string_length(content) == 0)
        return GA_OK;
    ga_str piece = {json_string_value(content), json_string_length(content)};
    ga_status rc = ga__buf_append(&a->text, piece.ptr, piece.len, err);
    if (!rc && r->piece && !r->piece(r->arg, piece))
        rc = ga__fail(err, GA_CANCELED, "canceled");
    return rc;
}

static ga_status take(const ga_llm_request *r, ga_str bytes, const char *holder,
                      ga_llm_answer *a, ga_error *err)
{
    json_t *root = json_loadb(bytes.ptr, bytes.len, JSON_ALLOW_NUL, NULL);
    ga_status rc;
    const json_t *error = json_object_get(root, "error");
    if (error && !json_is_null(error)) { /* some always send it, as null */
        char reason[256];
        ga__llm_reason(bytes, reason, sizeof(reason));
        rc = ga__fail(err, GA_UNAVAILABLE, "the server failed: %s", reason);
    } else if (!json_is_array(json_object_get(root, "choices"))) {
        char start[96];
        ga__llm_reason(bytes, start, sizeof(start));
        rc = ga__fail(err, GA_FORMAT,
                      "the server's answer is no chat completion: %s", start);
    } else {
        take_usage(root, a);
        rc = take_choice(r, root, holder, a, err);
    }
    json_decref(root);
    return rc;
}

ga_status ga__llm_event(const ga_llm_request *r, ga_str data, ga_llm_answer *a,
                        bool *done, ga_error *err)
{
    if (ga__str_is(data, "[DONE]")) {
        *done = true;
        return GA_OK;
    }
    return take(r, data, "delta", a, err);
}

ga_status ga__llm_whole(const ga_llm_request *r, ga_str body, ga_llm_answer *a,
                        ga_error *err)
{
    return take(r, body, "message", a, err);
}

void ga__llm_reason(ga_str body, char *out, size_t size)
{
    json_t *root = json_loadb(body.ptr, body.len, JSON_ALLOW_NUL, NULL);
    const json_t *error = json_object_get(root, "error");
    const json_t *message =
        json_is_object(error) ? json_object_get(error, "message") : error;
    ga_str s = body;
    if (json_is_string(message))
        s = (ga_str){json_string_value(message), json_string_length(message)};
    size_t n = 0;
    for (size_t pos = 0; pos < s.len;) {
        char bytes[4];
        uint32_t c = ga__utf8_next(s, &pos);
        if (c == GA_UTF8_INVALID)
            c = 0xFFFD;
        if (c < 0x20 || (c >= 0x7F && c < 0xA0)) /* a terminal obeys them */
            c = ' ';
        size_t len = ga__utf8_put(bytes, c);
        if (n + len + 1 > size)
            break;
        memcpy(out + n, bytes, len);
        n += len;
    }
    out[n] = '\0';
    if (n == 0)
        snprintf(out, size, "(an empty answer)");
    json_decref(root);
}
