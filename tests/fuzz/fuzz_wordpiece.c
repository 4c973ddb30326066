/* fuzz_wordpiece.c: a vocabulary and a text, both from outside.
 *
 * Input: one byte of options, the lines of a vocabulary, an empty line, the
 * text.  The special tokens are put in front, so that most inputs get as far as
 * the text. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/wordpiece.h"

#define SPECIALS "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* Where the text starts: behind the first empty line. */
static size_t split(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++) {
        if (data[i] == '\n' && data[i + 1] == '\n')
            return i + 2;
    }
    return size;
}

static ga_wordpiece *open_vocab(const uint8_t *data, size_t size,
                                uint8_t options)
{
    ga_wordpiece_options o = {options & 1, (options & 2) != 0,
                              (options & 4) != 0};
    ga_wordpiece *wp = NULL;
    ga_error err;
    size_t front = options & 8 ? 0 : strlen(SPECIALS);
    char *vocab = malloc(front + size + 1);
    require(vocab != NULL);
    memcpy(vocab, SPECIALS, front);
    memcpy(vocab + front, data, size);
    ga_status rc =
        ga__wordpiece_open((ga_str){vocab, front + size}, &o, &wp, &err);
    require((rc == GA_OK) == (wp != NULL));
    free(vocab); /* the bytes are copied */
    return wp;
}

static void check_ids(const ga_wordpiece *wp, const uint32_t *ids, size_t n,
                      size_t max)
{
    require(n >= 2 && n <= max);
    for (size_t i = 0; i < n; i++)
        require(ids[i] < ga__wordpiece_size(wp));
}

static void check_text(const ga_wordpiece *wp, ga_str text)
{
    ga_wordpiece_scratch *s = ga__wordpiece_scratch_new();
    ga_wordpiece_scratch *t = ga__wordpiece_scratch_new();
    const uint32_t *all, *few;
    size_t n, m;
    bool cut, few_cut;
    require(s && t);
    bool valid = ga__utf8_invalid_at(text) == text.len;
    ga_status rc =
        ga__wordpiece_encode(wp, s, text, SIZE_MAX, &all, &n, &cut, NULL);
    require(rc == (valid ? GA_OK : GA_INVAL));
    if (rc == GA_OK) {
        require(!cut);
        check_ids(wp, all, n, SIZE_MAX);
        for (size_t max = 2; max <= n + 1 && max < 40; max++) {
            require(ga__wordpiece_encode(wp, t, text, max, &few, &m, &few_cut,
                                         NULL) == GA_OK);
            check_ids(wp, few, m, max);
            require(few_cut == (max < n) && m == (few_cut ? max : n));
            require(memcmp(few, all, (m - 1) * sizeof(*all)) == 0);
            require(few[m - 1] == all[n - 1]);
        }
    }
    /* a used scratch gives what a new one gives */
    ga_status again =
        ga__wordpiece_encode(wp, t, text, SIZE_MAX, &few, &m, &few_cut, NULL);
    require(again == rc);
    if (rc == GA_OK)
        require(m == n && memcmp(few, all, n * sizeof(*all)) == 0);
    ga__wordpiece_scratch_free(s);
    ga__wordpiece_scratch_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t at = split(data + 1, size - 1);
    ga_wordpiece *wp = open_vocab(data + 1, at, data[0]);
    if (wp) {
        /* a copy of its own size: a read past the end is seen */
        ga_str text = {NULL, size - 1 - at};
        char *copy = malloc(text.len ? text.len : 1);
        require(copy != NULL);
        memcpy(copy, data + 1 + at, text.len);
        text.ptr = copy;
        check_text(wp, text);
        free(copy);
    }
    ga__wordpiece_close(wp);
    return 0;
}
