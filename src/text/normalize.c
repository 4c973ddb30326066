/* normalize.c: a text as the words that WordPiece splits, one after another.
 *
 * Knows characters; knows nothing of vocabularies and ids. */
#include "text/normalize.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "base/error.h"
#include "base/utf8.h"
#include "text/unicode_table.h"

/* What is to be done with a character, in one byte: its class and whether it
 * has to be decomposed or lowered.  The options are folded in, so that the
 * loop over the text asks for none of them. */
#define CLASS 0x07u
#define DECOMPOSE 0x08u
#define LOWER 0x10u

/* An array for the two planes with scripts and emoji, searched ranges for the
 * rest. */
#define DIRECT 0x20000u

/* Entries of the ASCII table that are no character of a word. */
#define ASCII_OTHER 0x80u

/* The canonical decomposition with the most characters has four. */
#define MAX_PARTS 4

/* The one character whose lower case is two: i with a combining dot. */
#define CAPITAL_I_WITH_DOT 0x130u
#define COMBINING_DOT 0x307u

struct ga_normalizer {
    bool lower, strip, split_cjk;
    uint8_t ascii[128]; /* the character a word gets, or ASCII_OTHER */
    uint8_t props[DIRECT];
};

/* BERT's "Chinese characters".  0x2B920 is the package's; the block begins at
 * 0x2B820, and the ids have to be those of the package. */
static const ga_char_range ideographs[] = {
    {0x3400, 0x4DBF, GA_CHAR_IDEOGRAPH},
    {0x4E00, 0x9FFF, GA_CHAR_IDEOGRAPH},
    {0xF900, 0xFAFF, GA_CHAR_IDEOGRAPH},
    {0x20000, 0x2A6DF, GA_CHAR_IDEOGRAPH},
    {0x2A700, 0x2B73F, GA_CHAR_IDEOGRAPH},
    {0x2B740, 0x2B81F, GA_CHAR_IDEOGRAPH},
    {0x2B920, 0x2CEAF, GA_CHAR_IDEOGRAPH},
    {0x2F800, 0x2FA1F, GA_CHAR_IDEOGRAPH},
};
static const size_t ideographs_count =
    sizeof(ideographs) / sizeof(ideographs[0]);

/* The range that holds c, or NULL. */
static const ga_char_range *find_range(const ga_char_range *ranges, size_t n,
                                       uint32_t c)
{
    while (n > 0) {
        const ga_char_range *middle = &ranges[n / 2];
        if (c < middle->first) {
            n /= 2;
        } else if (c > middle->last) {
            ranges = middle + 1;
            n -= n / 2 + 1;
        } else {
            return middle;
        }
    }
    return NULL;
}

static uint32_t lower_case(uint32_t c)
{
    const ga_case_range *ranges = ga__char_lower;
    size_t n = ga__char_lower_count;
    while (n > 0) {
        const ga_case_range *middle = &ranges[n / 2];
        if (c < middle->first) {
            n /= 2;
        } else if (c > middle->last) {
            ranges = middle + 1;
            n -= n / 2 + 1;
        } else if ((c - middle->first) % middle->step == 0) {
            return (uint32_t)((int32_t)c + middle->distance);
        } else {
            return c;
        }
    }
    return c;
}

/* The class that the options leave of one in the table. */
static uint8_t class_of(const ga_normalizer *nz, uint32_t kind)
{
    bool mark = kind == GA_CHAR_MARK || kind == GA_CHAR_BARRIER ||
                kind == GA_CHAR_SORTED;
    return (uint8_t)(mark && !nz->strip ? GA_CHAR_PLAIN : kind);
}

/* The properties of a character above the array.  None of them has a lower
 * case. */
static uint8_t find_props(const ga_normalizer *nz, uint32_t c)
{
    uint8_t props = GA_CHAR_PLAIN;
    const ga_char_range *r =
        find_range(ga__char_classes, ga__char_classes_count, c);
    if (r)
        props = class_of(nz, r->kind);
    if (nz->split_cjk && find_range(ideographs, ideographs_count, c))
        props = GA_CHAR_IDEOGRAPH;
    if (nz->strip &&
        find_range(ga__char_decomposed, ga__char_decomposed_count, c))
        props |= DECOMPOSE;
    return props;
}

/* The same for all characters of the array at once, a range at a time. */
static void fill_props(ga_normalizer *nz)
{
    for (size_t i = 0; i < ga__char_classes_count; i++) {
        const ga_char_range *r = &ga__char_classes[i];
        for (uint32_t c = r->first; c <= r->last && c < DIRECT; c++)
            nz->props[c] = class_of(nz, r->kind);
    }
    for (size_t i = 0; nz->split_cjk && i < ideographs_count; i++) {
        const ga_char_range *r = &ideographs[i];
        for (uint32_t c = r->first; c <= r->last && c < DIRECT; c++)
            nz->props[c] = GA_CHAR_IDEOGRAPH;
    }
    for (size_t i = 0; nz->strip && i < ga__char_decomposed_count; i++) {
        const ga_char_range *r = &ga__char_decomposed[i];
        for (uint32_t c = r->first; c <= r->last && c < DIRECT; c++)
            nz->props[c] |= DECOMPOSE;
    }
    for (size_t i = 0; nz->lower && i < ga__char_lower_count; i++) {
        const ga_case_range *r = &ga__char_lower[i];
        for (uint32_t c = r->first; c <= r->last && c < DIRECT; c += r->step)
            nz->props[c] |= LOWER;
    }
    if (nz->lower)
        nz->props[CAPITAL_I_WITH_DOT] |= LOWER;
}

ga_normalizer *ga__normalizer_new(const ga_wordpiece_options *options)
{
    ga_normalizer *nz = ga__calloc(1, sizeof(*nz));
    if (!nz)
        return NULL;
    nz->lower = options->lower_case;
    nz->strip = options->strip_accents;
    nz->split_cjk = options->split_cjk;
    fill_props(nz);
    for (uint32_t c = 0; c < 128; c++) {
        bool plain = (nz->props[c] & CLASS) == GA_CHAR_PLAIN;
        uint32_t letter = nz->lower ? lower_case(c) : c;
        nz->ascii[c] = (uint8_t)(plain ? letter : ASCII_OTHER);
    }
    return nz;
}

void ga__normalizer_free(ga_normalizer *nz)
{
    free(nz);
}

static uint8_t props_of(const ga_normalizer *nz, uint32_t c)
{
    return c < DIRECT ? nz->props[c] : find_props(nz, c);
}

/* Has the current word begun?  Marks that wait to be sorted are a beginning:
 * they stay in the word. */
static bool has_begun(const ga_words *w)
{
    return w->chars > 0 || w->marks > 0;
}

static void append(ga_words *w, uint32_t c)
{
    if (w->chars == GA_MAX_WORD_CHARS) {
        w->overlong = true;
        return;
    }
    w->len += ga__utf8_put(w->bytes + w->len, c);
    w->chars++;
}

static void append_lower(ga_words *w, uint32_t c, uint8_t props)
{
    if (!(props & LOWER)) {
        append(w, c);
    } else if (c == CAPITAL_I_WITH_DOT) {
        append(w, 'i');
        append(w, COMBINING_DOT);
    } else {
        append(w, lower_case(c));
    }
}

/* No mark has a lower case, so the waiting ones are appended as they are. */
static void append_marks(ga_words *w)
{
    for (size_t i = 0; i < w->marks; i++)
        append(w, w->mark[i]);
    w->marks = 0;
}

static int combining_class(uint32_t c)
{
    return utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}

/* Insert behind all marks of the same or a lower class: canonical ordering is
 * stable.  A word with more of them than fit is [UNK] in any order. */
static void insert_mark(ga_words *w, uint32_t c)
{
    if (w->marks == GA_MAX_WORD_CHARS) {
        w->overlong = true;
        return;
    }
    size_t i = w->marks++;
    int class = combining_class(c);
    for (; i > 0 && combining_class(w->mark[i - 1]) > class; i--)
        w->mark[i] = w->mark[i - 1];
    w->mark[i] = c;
}

/* A decomposed character that is neither a word of its own nor between
 * words. */
static void put(ga_words *w, uint32_t c, uint8_t props)
{
    switch (props & CLASS) {
    case GA_CHAR_MARK:
        break;
    case GA_CHAR_SORTED:
        insert_mark(w, c);
        break;
    case GA_CHAR_BARRIER:
        append_marks(w);
        break;
    default:
        append_marks(w);
        append_lower(w, c, props);
    }
}

static size_t decompose(uint32_t c, uint32_t parts[MAX_PARTS])
{
    utf8proc_int32_t out[MAX_PARTS];
    int last = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char(
        (utf8proc_int32_t)c, out, MAX_PARTS, UTF8PROC_DECOMPOSE, &last);
    if (n < 1 || n > MAX_PARTS) {
        parts[0] = c;
        return 1;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++)
        parts[i] = (uint32_t)out[i];
    return (size_t)n;
}

/* Take the character that ends at `next` into the word; true when the word is
 * complete.  A character that is a word of its own first ends the one before
 * it, and is read again with the next call. */
static bool take(ga_words *w, uint32_t c, size_t next)
{
    const ga_normalizer *nz = w->nz;
    uint8_t props = props_of(nz, c);
    uint32_t class = props & CLASS;
    uint32_t parts[MAX_PARTS] = {c};
    size_t n = 1;
    if (class == GA_CHAR_DROP || class == GA_CHAR_SPACE) {
        w->pos = next;
        return class == GA_CHAR_SPACE && has_begun(w);
    }
    if (props & DECOMPOSE) {
        /* the first part stands for all: an ideograph's is an ideograph, and
         * behind punctuation, as in U+2260, come marks to strip */
        n = decompose(c, parts);
        props = props_of(nz, parts[0]);
        class = props & CLASS;
    }
    if (class == GA_CHAR_IDEOGRAPH || class == GA_CHAR_PUNCT) {
        if (has_begun(w))
            return true;
        append_lower(w, parts[0], props);
        w->pos = next;
        return true;
    }
    put(w, parts[0], props);
    for (size_t i = 1; i < n; i++)
        put(w, parts[i], props_of(nz, parts[i]));
    w->pos = next;
    return false;
}

/* Read one character; *complete says whether it completed a word. */
static ga_status step(ga_words *w, bool *complete, ga_error *err)
{
    size_t next = w->pos;
    uint32_t c = ga__utf8_next(w->text, &next);
    if (c == GA_UTF8_INVALID)
        return ga__fail(err, GA_INVAL, "the text is not UTF-8 at byte %zu",
                        w->pos);
    *complete = take(w, c, next);
    return GA_OK;
}

static void start_word(ga_words *w)
{
    w->len = w->chars = w->marks = 0;
    w->overlong = false;
}

void ga__words_start(ga_words *w, const ga_normalizer *nz, ga_str text)
{
    w->nz = nz;
    w->text = text;
    w->pos = 0;
    start_word(w);
}

/* Append the letters and digits of ASCII from here on: most of most texts. */
static void take_ascii(ga_words *w)
{
    const unsigned char *text = (const unsigned char *)w->text.ptr;
    const uint8_t *ascii = w->nz->ascii;
    size_t pos = w->pos, end = w->text.len;
    for (; pos < end && text[pos] < 128; pos++) {
        uint8_t letter = ascii[text[pos]];
        if (letter == ASCII_OTHER)
            break;
        if (w->chars == GA_MAX_WORD_CHARS) {
            w->overlong = true;
            continue;
        }
        w->bytes[w->len++] = (char)letter;
        w->chars++;
    }
    w->pos = pos;
}

ga_status ga__words_next(ga_words *w, bool *found, ga_error *err)
{
    bool complete = false;
    start_word(w);
    while (!complete && w->pos < w->text.len) {
        if (w->marks == 0)
            take_ascii(w);
        if (w->pos == w->text.len)
            break;
        ga_status rc = step(w, &complete, err);
        if (rc)
            return rc;
    }
    append_marks(w);
    *found = w->chars > 0;
    return GA_OK;
}

ga_status ga__words_more(ga_words *w, bool *more, ga_error *err)
{
    bool complete = false;
    start_word(w);
    while (!complete && !has_begun(w) && w->pos < w->text.len) {
        ga_status rc = step(w, &complete, err);
        if (rc)
            return rc;
    }
    *more = has_begun(w);
    return GA_OK;
}
