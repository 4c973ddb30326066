/* views.c: what a conversation is looked up by.
 *
 * Only the user steers: what the system, the assistant or a tool said is not
 * the query, so that neither an operator's prompt nor a fetched page chooses
 * the rules.  All user turns since the last assistant reply count together,
 * since a request can be spread over several of them. */
#include "guide/guide_internal.h"

#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"

enum {
    /* An encoder reads some 250 tokens, about this many bytes.  Of a longer
     * view the end is looked up too: the question often stands behind what
     * was pasted. */
    VIEW_BYTES = 1200,
    /* no encoder reads so far into a run of many turns */
    HEAD_BYTES = 64 * VIEW_BYTES,
    /* earlier turns, cut from the front, in the view of the conversation */
    HISTORY_BYTES = 2 * VIEW_BYTES
};

/* The first message of the last run of user turns: behind the last assistant
 * message in front of the last user message.  n when there is no user. */
static size_t last_run(const ga_message *messages, size_t n, size_t *end)
{
    size_t last = n;
    while (last > 0 && messages[last - 1].role != GA_ROLE_USER)
        last--;
    *end = last;
    if (last == 0)
        return n;
    size_t first = last - 1;
    while (first > 0 && messages[first - 1].role != GA_ROLE_ASSISTANT)
        first--;
    return first;
}

/* Append the user turns of messages[from, to), a newline between them. */
static ga_status append_turns(const ga_message *messages, size_t from,
                              size_t to, ga_buf *out, ga_error *err)
{
    size_t start = out->len;
    ga_status rc = GA_OK;
    for (size_t i = from; i < to && !rc; i++) {
        ga_str text = messages[i].text;
        if (messages[i].role != GA_ROLE_USER)
            continue;
        if (out->len > start)
            rc = ga__buf_append(out, "\n", 1, err);
        /* of a huge turn both ends are kept: no view reaches further */
        size_t head = ga__utf8_prefix(text, HISTORY_BYTES);
        size_t tail = ga__utf8_suffix(text, HISTORY_BYTES);
        if (head + tail >= text.len) {
            head = text.len;
            tail = 0;
        }
        if (!rc)
            rc = ga__buf_append(out, text.ptr, head, err);
        if (!rc && tail > 0)
            rc = ga__buf_append(out, text.ptr + text.len - tail, tail, err);
    }
    return rc;
}

static bool blank(ga_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] > ' ')
            return false;
    }
    return true;
}

static void add_view(ga_decision *d, ga_str view)
{
    for (size_t i = 0; i < d->view_count; i++) {
        if (ga__str_equal(d->views[i], view))
            return;
    }
    if (d->view_count < GA__MAX_VIEWS && !blank(view))
        d->views[d->view_count++] = view;
}

ga_status ga__guide_views(const ga_message *messages, size_t n, ga_decision *d,
                          ga_error *err)
{
    size_t end;
    size_t first = last_run(messages, n, &end);
    d->view_count = 0;
    d->text.max = (size_t)GA_MAX_MESSAGES * (2 * HISTORY_BYTES + 2);
    ga__buf_clear(&d->text);
    if (first == n)
        return GA_OK;
    /* earlier turns and the last ones lie in one buffer, so that the view of
     * the conversation needs no copy */
    ga_status rc = append_turns(messages, 0, first, &d->text, err);
    size_t history = d->text.len;
    if (!rc && history > 0)
        rc = ga__buf_append(&d->text, "\n", 1, err);
    size_t start = d->text.len;
    if (!rc)
        rc = append_turns(messages, first, end, &d->text, err);
    if (rc)
        return rc;
    ga_str turns = {d->text.ptr + start, d->text.len - start};
    add_view(d, (ga_str){turns.ptr, ga__utf8_prefix(turns, HEAD_BYTES)});
    if (turns.len > VIEW_BYTES) {
        size_t keep = ga__utf8_suffix(turns, VIEW_BYTES);
        add_view(d, (ga_str){turns.ptr + turns.len - keep, keep});
    }
    if (history > 0) {
        ga_str all = {d->text.ptr, d->text.len};
        size_t keep = ga__utf8_suffix(all, HISTORY_BYTES);
        if (keep > turns.len)
            add_view(d, (ga_str){all.ptr + all.len - keep, keep});
    }
    return GA_OK;
}
