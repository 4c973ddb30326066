/* fuzz_sse.c: an event stream gives the same events however it is cut.
 *
 * Input: one byte for the cap, one for the event at which the caller stops (0:
 * never), one for the cuts, then the stream.  The oracle reads the whole stream
 * by the grammar of the standard. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "llm/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* The events as one text: length, bytes, length, bytes. */
typedef struct {
    ga_buf seen;
    size_t count, stop_at;
} sink;

static ga_status on_event(void *arg, ga_str data)
{
    sink *s = arg;
    if (++s->count == s->stop_at)
        return GA_CANCELED;
    require(ga__buf_append(&s->seen, &data.len, sizeof(data.len), NULL) ==
            GA_OK);
    require(ga__buf_append(&s->seen, data.ptr, data.len, NULL) == GA_OK);
    return GA_OK;
}

/* Feed in pieces of 1 to `most` bytes, drawn from `seed`. */
static ga_status feed(ga_str text, size_t most, uint32_t seed, size_t max,
                      sink *out)
{
    ga_sse s;
    ga_status rc = GA_OK;
    ga__sse_init(&s, max);
    for (size_t at = 0; at < text.len && !rc;) {
        seed = seed * 1664525u + 1013904223u;
        size_t n = 1 + (seed >> 16) % most;
        n = n < text.len - at ? n : text.len - at;
        /* a copy whose end is the end of an object: a read past it is seen */
        char few[3];
        char *copy = n > sizeof(few) ? malloc(n) : few + sizeof(few) - n;
        require(copy != NULL);
        memcpy(copy, text.ptr + at, n);
        rc = ga__sse_feed(&s, (ga_str){copy, n}, on_event, out, NULL);
        require(s.line.len <= max && s.data.len <= max);
        if (n > sizeof(few))
            free(copy);
        at += n;
    }
    ga__sse_free(&s);
    return rc;
}

/* The length of the line end at s[at], 0 when there is none. */
static size_t line_end(ga_str s, size_t at)
{
    if (at < s.len && s.ptr[at] == '\n')
        return 1;
    if (at < s.len && s.ptr[at] == '\r')
        return at + 1 < s.len && s.ptr[at + 1] == '\n' ? 2 : 1;
    return 0;
}

/* One line for the oracle: into the data, or the end of an event. */
static ga_status oracle_line(ga_str line, ga_buf *data, sink *out)
{
    ga_status rc = GA_OK;
    if (line.len == 0) {
        if (data->len > 0)
            rc = on_event(out, (ga_str){data->ptr, data->len - 1});
        ga__buf_clear(data);
        return rc;
    }
    const char *colon = memchr(line.ptr, ':', line.len);
    size_t name = colon ? (size_t)(colon - line.ptr) : line.len;
    if (!ga__str_is((ga_str){line.ptr, name}, "data"))
        return GA_OK;
    size_t value = colon ? name + 1 : line.len;
    if (value < line.len && line.ptr[value] == ' ')
        value++;
    rc = ga__buf_append(data, line.ptr + value, line.len - value, NULL);
    return rc ? rc : ga__buf_append(data, "\n", 1, NULL);
}

static ga_status oracle(ga_str text, size_t max, sink *out)
{
    ga_buf data;
    ga_status rc = GA_OK;
    size_t start = 0;
    ga__buf_init(&data, max);
    for (size_t at = 0; at <= text.len && !rc; at++) {
        size_t n = line_end(text, at);
        if (n == 0 && at < text.len)
            continue;
        ga_str line = {text.ptr + start, at - start};
        if (line.len > max)
            rc = GA_LIMIT;
        if (start == 0 && line.len >= 3 &&
            memcmp(line.ptr, "\xEF\xBB\xBF", 3) == 0)
            line = (ga_str){line.ptr + 3, line.len - 3};
        if (!rc && n > 0)
            rc = oracle_line(line, &data, out);
        start = at + n;
        at += n ? n - 1 : 0;
    }
    ga__buf_free(&data);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > 8192) /* longer is slower and no different */
        return 0;
    ga_str text = {(const char *)data + 3, size - 3};
    size_t max = data[0] == 255 ? (size_t)1 << 20 : data[0];
    size_t stop_at = data[1] % 8;
    const size_t most[] = {size, 1, 2, 3, 1 + data[2] % 64u};
    sink expected = {.stop_at = stop_at};
    ga__buf_init(&expected.seen, SIZE_MAX / 2);
    ga_status rc = oracle(text, max, &expected);
    for (size_t i = 0; i < sizeof(most) / sizeof(*most); i++) {
        sink got = {.stop_at = stop_at};
        ga__buf_init(&got.seen, SIZE_MAX / 2);
        require(feed(text, most[i], data[2] + (uint32_t)i, max, &got) == rc);
        require(got.count == expected.count &&
                got.seen.len == expected.seen.len);
        if (got.seen.len)
            require(memcmp(got.seen.ptr, expected.seen.ptr, got.seen.len) == 0);
        ga__buf_free(&got.seen);
    }
    ga__buf_free(&expected.seen);
    return 0;
}
