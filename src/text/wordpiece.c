/* wordpiece.c: words to the ids of their pieces.
 *
 * A word is cut greedily: the longest token it begins with, then the longest
 * token with "##" that the rest begins with, and so on; a word that cannot be
 * cut to its end is [UNK] as a whole. */
#include "text/wordpiece.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "text/normalize.h"
#include "text/trie.h"

enum { PAD, UNK, CLS, SEP, MASK, SPECIALS };

static const char *const special_names[SPECIALS] = {"[PAD]", "[UNK]", "[CLS]",
                                                    "[SEP]", "[MASK]"};

typedef struct {
    bool present; /* [MASK] need not be */
    uint32_t id;
} special_token;

struct ga_wordpiece {
    char *bytes; /* the vocabulary file, which the tries point into */
    size_t size;
    ga_trie words; /* tokens that begin a word */
    ga_trie tails; /* tokens that continue one, without their "##" */
    special_token special[SPECIALS];
    ga_normalizer *nz;
};

struct ga_wordpiece_scratch {
    uint32_t *ids;
    size_t count, cap;
    ga_words words;
};

/* The lines of a vocabulary: words from the front of the array, tails from its
 * end, which together are as many as lines. */
typedef struct {
    ga_trie_entry *entries;
    size_t cap, words, tails;
} token_list;

static size_t count_lines(ga_str text)
{
    size_t n = 0;
    for (size_t pos = 0; pos < text.len; n++) {
        const char *lf = memchr(text.ptr + pos, '\n', text.len - pos);
        pos = lf ? (size_t)(lf - text.ptr) + 1 : text.len;
    }
    return n;
}

static void add_token(ga_wordpiece *wp, token_list *list, size_t offset,
                      size_t len, uint32_t id)
{
    ga_str token = {wp->bytes + offset, len};
    for (size_t i = 0; i < SPECIALS; i++) {
        if (ga__str_is(token, special_names[i]))
            wp->special[i] = (special_token){true, id};
    }
    if (len > 2 && token.ptr[0] == '#' && token.ptr[1] == '#') {
        list->tails++;
        list->entries[list->cap - list->tails] =
            (ga_trie_entry){token.ptr + 2, (uint32_t)len - 2, id};
    } else if (len > 0) {
        list->entries[list->words++] =
            (ga_trie_entry){token.ptr, (uint32_t)len, id};
    }
}

static ga_status read_tokens(ga_wordpiece *wp, ga_str vocab, token_list *list,
                             ga_error *err)
{
    size_t pos = 0;
    for (size_t line = 0; pos < vocab.len; line++) {
        const char *lf = memchr(vocab.ptr + pos, '\n', vocab.len - pos);
        size_t end = lf ? (size_t)(lf - vocab.ptr) : vocab.len;
        size_t next = lf ? end + 1 : end;
        if (end > pos && vocab.ptr[end - 1] == '\r')
            end--;
        ga_str token = {vocab.ptr + pos, end - pos};
        size_t bad = ga__utf8_invalid_at(token);
        if (token.len > GA_MAX_TOKEN_BYTES)
            return ga__fail(err, GA_LIMIT,
                            "vocabulary line %zu: the token has %zu bytes, the "
                            "limit is %u",
                            line + 1, token.len, GA_MAX_TOKEN_BYTES);
        if (bad < token.len)
            return ga__fail(err, GA_FORMAT,
                            "vocabulary line %zu: invalid UTF-8 at byte %zu",
                            line + 1, bad);
        add_token(wp, list, pos, token.len, (uint32_t)line);
        if (token.len > 0)
            wp->size = line + 1;
        pos = next;
    }
    return GA_OK;
}

static ga_status build_tries(ga_wordpiece *wp, ga_str vocab, ga_error *err)
{
    token_list list = {.cap = count_lines(vocab)};
    if (list.cap > GA_MAX_VOCAB_TOKENS)
        return ga__fail(err, GA_LIMIT,
                        "the vocabulary has %zu tokens, the limit is %u",
                        list.cap, GA_MAX_VOCAB_TOKENS);
    list.entries = ga__calloc(list.cap, sizeof(*list.entries));
    if (!list.entries)
        return ga__fail_nomem(err, list.cap * sizeof(*list.entries));
    ga_status rc = read_tokens(wp, vocab, &list, err);
    if (!rc)
        rc = ga__trie_build(&wp->words, wp->bytes, list.entries, list.words,
                            err);
    if (!rc)
        rc = ga__trie_build(&wp->tails, wp->bytes,
                            list.entries + list.cap - list.tails, list.tails,
                            err);
    free(list.entries);
    return rc;
}

static ga_status check_special(const ga_wordpiece *wp, ga_error *err)
{
    for (size_t i = 0; i < SPECIALS; i++) {
        if (!wp->special[i].present && i != MASK)
            return ga__fail(err, GA_FORMAT, "the vocabulary has no line \"%s\"",
                            special_names[i]);
    }
    return GA_OK;
}

ga_status ga__wordpiece_open(ga_str vocab, const ga_wordpiece_options *options,
                             ga_wordpiece **out, ga_error *err)
{
    ga_status rc = GA_OK;
    *out = NULL;
    if (vocab.len > GA_MAX_VOCAB_BYTES)
        return ga__fail(err, GA_LIMIT,
                        "the vocabulary has %zu bytes, the limit is %u",
                        vocab.len, GA_MAX_VOCAB_BYTES);
    ga_wordpiece *wp = ga__calloc(1, sizeof(*wp));
    if (!wp)
        return ga__fail_nomem(err, sizeof(*wp));
    wp->bytes = ga__strndup(vocab.ptr, vocab.len);
    wp->nz = ga__normalizer_new(options);
    if (!wp->bytes || !wp->nz)
        rc = ga__fail_nomem(err, vocab.len + 1);
    if (!rc)
        rc = build_tries(wp, vocab, err);
    if (!rc)
        rc = check_special(wp, err);
    if (rc) {
        ga__wordpiece_close(wp);
        return rc;
    }
    *out = wp;
    return GA_OK;
}

void ga__wordpiece_close(ga_wordpiece *wp)
{
    if (!wp)
        return;
    ga__trie_free(&wp->tails);
    ga__trie_free(&wp->words);
    ga__normalizer_free(wp->nz);
    free(wp->bytes);
    free(wp);
}

size_t ga__wordpiece_size(const ga_wordpiece *wp)
{
    return wp->size;
}

ga_wordpiece_scratch *ga__wordpiece_scratch_new(void)
{
    return ga__calloc(1, sizeof(ga_wordpiece_scratch));
}

void ga__wordpiece_scratch_free(ga_wordpiece_scratch *s)
{
    if (!s)
        return;
    free(s->ids);
    free(s);
}

/* Append the pieces of the current word; there is room for one a character. */
static void add_pieces(const ga_wordpiece *wp, ga_wordpiece_scratch *s)
{
    const ga_words *w = &s->words;
    const ga_trie *trie = &wp->words;
    size_t start = s->count;
    bool bad = w->overlong;
    for (size_t pos = 0, len; !bad && pos < w->len; pos += len) {
        len = 0;
        bad = !ga__trie_longest(trie, w->bytes + pos, w->len - pos,
                                &s->ids[s->count], &len);
        s->count++;
        trie = &wp->tails;
    }
    if (bad) {
        s->count = start;
        s->ids[s->count++] = wp->special[UNK].id;
    }
}

/* If the "[" just read begins a special token, move behind it.  The package
 * looks for them in the raw text, before anything is normalised; "[" is
 * punctuation, so the word before it ends there either way. */
static bool take_special(const ga_wordpiece *wp, ga_words *w, uint32_t *id)
{
    const char *rest = w->text.ptr + w->pos;
    size_t left = w->text.len - w->pos;
    for (size_t i = 0; i < SPECIALS; i++) {
        size_t len = strlen(special_names[i]) - 1;
        if (wp->special[i].present && len <= left &&
            memcmp(rest, special_names[i] + 1, len) == 0) {
            *id = wp->special[i].id;
            w->pos += len;
            return true;
        }
    }
    return false;
}

/* Append ids until there are `max` or the text is at its end. */
static ga_status add_words(const ga_wordpiece *wp, ga_wordpiece_scratch *s,
                           size_t max, ga_error *err)
{
    ga_words *w = &s->words;
    while (s->count < max) {
        bool found;
        ga_status rc = ga__words_next(w, &found, err);
        if (rc || !found)
            return rc;
        /* the pieces of one word, and [SEP] behind the last */
        void *ids = s->ids;
        if (!ga__grow(&ids, &s->cap, s->count + GA_MAX_WORD_CHARS + 1,
                      sizeof(*s->ids)))
            return ga__fail_nomem(err, s->cap * sizeof(*s->ids));
        s->ids = ids;
        uint32_t id;
        if (w->len == 1 && w->bytes[0] == '[' && take_special(wp, w, &id))
            s->ids[s->count++] = id;
        else
            add_pieces(wp, s);
    }
    return GA_OK;
}

ga_status ga__wordpiece_encode(const ga_wordpiece *wp, ga_wordpiece_scratch *s,
                               ga_str text, size_t max, const uint32_t **ids,
                               size_t *n, bool *truncated, ga_error *err)
{
    if (max < 2)
        return ga__fail(err, GA_INVAL,
                        "at least 2 tokens are needed for [CLS] and [SEP]");
    void *room = s->ids;
    if (!ga__grow(&room, &s->cap, 2, sizeof(*s->ids)))
        return ga__fail_nomem(err, 2 * sizeof(*s->ids));
    s->ids = room;
    s->ids[0] = wp->special[CLS].id;
    s->count = 1;
    ga__words_start(&s->words, wp->nz, text);
    ga_status rc = add_words(wp, s, max - 1, err);
    bool cut = s->count > max - 1;
    if (!rc && s->count == max - 1)
        rc = ga__words_more(&s->words, &cut, err);
    if (rc)
        return rc;
    if (cut)
        s->count = max - 1;
    s->ids[s->count++] = wp->special[SEP].id;
    *ids = s->ids;
    *n = s->count;
    *truncated = cut;
    return GA_OK;
}
