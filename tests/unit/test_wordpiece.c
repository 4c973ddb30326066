/* test_wordpiece.c: words, pieces, cuts, and vocabularies that are no good. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "text/wordpiece.h"

#define SPECIALS "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"
enum { PAD, UNK, CLS, SEP, MASK, FIRST }; /* FIRST: the line behind them */

static const ga_wordpiece_options uncased = {true, true, true};
static const ga_wordpiece_options cased = {false, false, true};
static const ga_wordpiece_options keep_accents = {true, false, true};

/* A literal as a ga_str, NULs and all. */
#define STR(literal) ((ga_str){"" literal, sizeof(literal) - 1})

static ga_wordpiece *open_vocab(ga_str vocab,
                                const ga_wordpiece_options *options)
{
    ga_wordpiece *wp = NULL;
    ga_error err = {""};
    if (ga__wordpiece_open(vocab, options, &wp, &err) != GA_OK)
        fail_msg("%s", err.msg);
    return wp;
}

/* The ids between [CLS] and [SEP] are `expected`, which ends with END. */
#define END UINT32_MAX
static void check(const ga_wordpiece *wp, ga_str text, size_t max,
                  bool expected_cut, const uint32_t *expected)
{
    ga_wordpiece_scratch *s = ga__wordpiece_scratch_new();
    const uint32_t *ids = NULL;
    size_t n = 0, i = 0;
    bool cut = !expected_cut;
    ga_error err = {""};
    assert_non_null(s);
    if (ga__wordpiece_encode(wp, s, text, max, &ids, &n, &cut, &err) != GA_OK)
        fail_msg("%s", err.msg);
    assert_in_range(n, 2, max);
    assert_int_equal(ids[0], CLS);
    for (; expected[i] != END; i++) {
        assert_true(i + 2 < n);
        assert_int_equal(ids[i + 1], expected[i]);
    }
    assert_int_equal(n, i + 2);
    assert_int_equal(ids[n - 1], SEP);
    assert_int_equal(cut, expected_cut);
    ga__wordpiece_scratch_free(s);
}

/* One text in a vocabulary of its own, whose lines follow the specials. */
#define EXPECT(options, lines, text, ...)                                      \
    do {                                                                       \
        ga_wordpiece *wp = open_vocab(STR(SPECIALS lines), options);           \
        check(wp, STR(text), 512, false, (const uint32_t[]){__VA_ARGS__});     \
        ga__wordpiece_close(wp);                                               \
    } while (0)

enum { A = FIRST, B, C, D, E, F }; /* the first tokens of a vocabulary */

static void takes_the_longest_pieces(void **state)
{
    (void)state;
    EXPECT(&uncased, "un\n##aff\n##able\n##a\n##ff", "unaffable", A, B, C, END);
    EXPECT(&uncased, "a\nab\nabc\n##c\n##d", "abcd abd", C, E, B, E, END);
    EXPECT(&uncased, "ab\n##cd\nabcx", "abcd", A, B, END);
    EXPECT(&uncased, "word", "", END);
    EXPECT(&uncased, "word", " word\tword ", A, A, END);
}

static void a_word_without_pieces_is_unknown_as_a_whole(void **state)
{
    (void)state;
    EXPECT(&uncased, "ab\n##c", "abd abc", UNK, A, B, END);
    EXPECT(&uncased, "ab", "xab ab abab", UNK, A, UNK, END);
    EXPECT(&uncased, "##ab\n##\n#", "ab ## #", UNK, C, C, C, END);
    /* a greedy cut does not come back: a + ##b would do, ab is longer */
    EXPECT(&uncased, "a\nab\n##bc", "abc", UNK, END);
}

static void the_longest_word_has_100_characters(void **state)
{
    char text[512];
    (void)state;
    ga_wordpiece *wp = open_vocab(
        STR(SPECIALS "a\n##a\n\xF0\x9F\x98\x80\n##\xF0\x9F\x98\x80"), &uncased);
    for (size_t n = 99; n <= 102; n++) {
        uint32_t expected[104] = {A};
        for (size_t i = 1; i < n; i++)
            expected[i] = B;
        expected[n <= 100 ? n : 1] = END;
        if (n > 100)
            expected[0] = UNK;
        memset(text, 'a', n);
        check(wp, (ga_str){text, n}, 512, false, expected);
    }
    /* characters, not bytes */
    uint32_t expected[101] = {C};
    for (size_t i = 0; i < 100; i++) {
        memcpy(text + 4 * i, "\xF0\x9F\x98\x80", 4);
        expected[i] = i ? D : C;
    }
    expected[100] = END;
    check(wp, (ga_str){text, 400}, 512, false, expected);
    ga__wordpiece_close(wp);
}

static void characters_are_cleaned(void **state)
{
    (void)state;
    EXPECT(&uncased, "ab\nc", "a\0b c", A, B, END);
    EXPECT(&uncased, "ab\nc",
           "a\x01\x7F\x0B\x0C"
           "b\rc",
           A, B, END);
    /* U+200B is no space but dropped, U+3000 is one; U+FFFD and the private
     * U+E000 are dropped */
    EXPECT(&uncased, "ab\nc",
           "a\xE2\x80\x8B"
           "b\xE3\x80\x80"
           "c\xEF\xBF\xBD\xEE\x80\x80",
           A, B, END);
}

static void punctuation_and_ideographs_stand_alone(void **state)
{
    (void)state;
    EXPECT(&uncased, "a\n.\n$\nb", "a.b$", A, B, D, C, END);
    EXPECT(&uncased, "a\n\xC2\xBF",
           "\xC2\xBF"
           "a",
           B, A, END);
    EXPECT(&uncased, "a\n\xE4\xB8\x96\n##\xE4\xB8\x96",
           "a\xE4\xB8\x96"
           "a",
           A, B, A, END);
    const ga_wordpiece_options together = {true, true, false};
    EXPECT(&together, "a\n\xE4\xB8\x96\n##\xE4\xB8\x96",
           "a\xE4\xB8\x96"
           "a",
           UNK, END);
    /* the Greek question mark decomposes to a semicolon */
    EXPECT(&uncased, "a\n;",
           "a\xCD\xBE"
           "a",
           A, B, A, END);
    EXPECT(&cased, "a\n;\n\xCD\xBE", "a\xCD\xBE", A, C, END);
}

static void case_and_accents_follow_the_options(void **state)
{
    (void)state;
    /* e-acute in one and in two characters */
    EXPECT(&uncased, "e\n\xC3\xA9", "\xC3\xA9 e\xCC\x81 \xC3\x89", A, A, A,
           END);
    EXPECT(&keep_accents, "e\n\xC3\xA9\n##\xCC\x81", "\xC3\xA9 e\xCC\x81 E", B,
           A, C, A, END);
    EXPECT(&cased, "E\ne\n\xC3\xA9", "\xC3\xA9 E e", C, A, B, END);
    /* U+0130 lowers to two characters, where its dot is not stripped */
    EXPECT(&uncased, "i\n##\xCC\x87", "\xC4\xB0", A, END);
    EXPECT(&keep_accents, "i\n##\xCC\x87", "\xC4\xB0", A, B, END);
    /* a final sigma is lowered like any other */
    EXPECT(&uncased, "\xCF\x83\n##\xCF\x83", "\xCE\xA3\xCE\xA3", A, B, END);
    /* a mark alone is no word */
    EXPECT(&uncased, "a", "\xCC\x81 a \xCC\x81", A, END);
}

/* U+302E (class 224) and U+1B44 (class 9) are not stripped and change places;
 * a stripped mark between them does not matter unless it is a starter. */
static void marks_are_put_into_canonical_order(void **state)
{
    (void)state;
#define HIGH "\xE3\x80\xAE"
#define LOW "\xE1\xAD\x84"
#define VOCAB "a\n##" HIGH "\n##" LOW
    EXPECT(&uncased, VOCAB, "a" HIGH LOW, A, C, B, END);
    EXPECT(&uncased, VOCAB, "a" LOW HIGH, A, C, B, END);
    EXPECT(&uncased, VOCAB, "a" HIGH "\xCC\x81" LOW, A, C, B, END);
    EXPECT(&uncased, VOCAB, "a" HIGH "\xCD\x8F" LOW, A, B, C, END);
    EXPECT(&keep_accents, VOCAB, "a" HIGH LOW, A, B, C, END);
    EXPECT(&uncased, VOCAB, "a" HIGH " a" LOW ".", A, B, A, C, UNK, END);
}

static void special_tokens_in_a_text_have_their_ids(void **state)
{
    (void)state;
    EXPECT(&uncased, "a\n[\n]\nsep", "a[SEP]a [MASK][PAD]", A, SEP, A, MASK,
           PAD, END);
    EXPECT(&uncased, "a\n[\n]\nsep", "[sep] [[SEP]", B, D, C, B, SEP, END);
    EXPECT(&uncased, "a\n[\n]\nsep", "[SEP", B, D, END);
    EXPECT(&uncased, "a\n[\n]\nsep", "[S\0EP]", B, D, C, END);
    /* what the vocabulary lacks is text */
    ga_wordpiece *wp =
        open_vocab(STR("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[\n]\nmask"), &uncased);
    check(wp, STR("[MASK]"), 512, false, (const uint32_t[]){4, 6, 5, END});
    ga__wordpiece_close(wp);
}

static void cuts_behind_max_ids(void **state)
{
    (void)state;
    ga_wordpiece *wp = open_vocab(STR(SPECIALS "a\n##b\n##c\n.\nd"), &uncased);
    const uint32_t all[] = {A, B, C, D, A, B, E, END}; /* abc . ab d */
    for (size_t max = 2; max <= 10; max++) {
        uint32_t expected[8];
        memcpy(expected, all, sizeof(all));
        if (max - 2 < 7)
            expected[max - 2] = END;
        check(wp, STR("abc.ab d"), max, max < 9, expected);
    }
    /* nothing is lost with what would give no token */
    check(wp, STR("d \xCC\x81\0\xE2\x80\x8B  "), 3, false,
          (const uint32_t[]){E, END});
    check(wp, STR("d \xE3\x80\xAE"), 3, true, (const uint32_t[]){E, END});
    check(wp, STR(""), 2, false, (const uint32_t[]){END});
    check(wp, STR("d"), 2, true, (const uint32_t[]){END});
    ga__wordpiece_close(wp);
}

static void invalid_text_is_refused_with_its_byte(void **state)
{
    static const ga_str bad[] = {
        {"abc\xFF", 4},
        {"abc\xC3", 4},
        {"abc\xED\xA0\x80", 6},
        {"abc\xC0\x80 more", 10},
        {"abc\xF5\x80\x80\x80", 7},
        {"abc\x80", 4},
    };
    const uint32_t *ids;
    size_t n;
    bool cut;
    (void)state;
    ga_wordpiece *wp = open_vocab(STR(SPECIALS "a"), &uncased);
    ga_wordpiece_scratch *s = ga__wordpiece_scratch_new();
    assert_non_null(s);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ga_error err = {""};
        assert_int_equal(
            ga__wordpiece_encode(wp, s, bad[i], 8, &ids, &n, &cut, &err),
            GA_INVAL);
        assert_non_null(strstr(err.msg, "byte 3"));
    }
    assert_int_equal(
        ga__wordpiece_encode(wp, s, STR("a"), 1, &ids, &n, &cut, NULL),
        GA_INVAL);
    /* the scratch goes on working, and what is cut off is not read */
    assert_int_equal(
        ga__wordpiece_encode(wp, s, STR("a a\xFF"), 3, &ids, &n, &cut, NULL),
        GA_OK);
    assert_true(cut);
    assert_int_equal(n, 3);
    ga__wordpiece_scratch_free(s);
    ga__wordpiece_close(wp);
}

/* 10 MB as one word, as many words and as marks to be sorted. */
static void large_texts(void **state)
{
    enum { BYTES = 10500000 }; /* divisible by 2 and 3 */
    char *text = malloc(BYTES);
    (void)state;
    assert_non_null(text);
    ga_wordpiece *wp = open_vocab(STR(SPECIALS "a\n##a"), &uncased);
    memset(text, 'a', BYTES);
    check(wp, (ga_str){text, BYTES}, 8, false, (const uint32_t[]){UNK, END});
    text[BYTES - 2] = ' ';
    check(wp, (ga_str){text, BYTES}, 8, false, (const uint32_t[]){UNK, A, END});
    for (size_t i = 0; i < BYTES; i += 3)
        memcpy(text + i, (i & 1) ? "\xE3\x80\xAE" : "\xE1\xAD\x84", 3);
    check(wp, (ga_str){text, BYTES}, 8, false, (const uint32_t[]){UNK, END});
    for (size_t i = 0; i < BYTES; i += 2)
        memcpy(text + i, "a ", 2);
    check(wp, (ga_str){text, BYTES}, 5, true, (const uint32_t[]){A, A, A, END});
    ga_wordpiece_scratch *s = ga__wordpiece_scratch_new();
    const uint32_t *ids;
    size_t n;
    bool cut;
    assert_non_null(s);
    assert_int_equal(ga__wordpiece_encode(wp, s, (ga_str){text, BYTES},
                                          SIZE_MAX, &ids, &n, &cut, NULL),
                     GA_OK);
    assert_int_equal(n, BYTES / 2 + 2);
    ga__wordpiece_scratch_free(s);
    ga__wordpiece_close(wp);
    free(text);
}

static void vocabularies_in_odd_shapes(void **state)
{
    (void)state;
    /* CRLF, no end of the last line */
    ga_wordpiece *wp = open_vocab(
        STR("[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\na\r\n##b"), &uncased);
    assert_int_equal(ga__wordpiece_size(wp), 6);
    check(wp, STR("ab"), 8, false, (const uint32_t[]){4, 5, END});
    ga__wordpiece_close(wp);
    /* an empty line has its number, but not at the end; the last of equal
     * lines counts */
    wp = open_vocab(STR("[PAD]\n[UNK]\n[CLS]\n[SEP]\n\na\n##b\na\n##b\n\n\r\n"),
                    &uncased);
    assert_int_equal(ga__wordpiece_size(wp), 9);
    check(wp, STR("ab"), 8, false, (const uint32_t[]){7, 8, END});
    ga__wordpiece_close(wp);
    /* nothing but the specials */
    wp = open_vocab(STR("[PAD]\n[UNK]\n[CLS]\n[SEP]"), &uncased);
    assert_int_equal(ga__wordpiece_size(wp), 4);
    check(wp, STR("ab #"), 8, false, (const uint32_t[]){UNK, UNK, END});
    ga__wordpiece_close(wp);
    ga__wordpiece_close(NULL);
    ga__wordpiece_scratch_free(NULL);
}

static void check_refused(ga_str vocab, ga_status status, const char *message)
{
    ga_error err = {""};
    ga_wordpiece *wp = (ga_wordpiece *)&err;
    assert_int_equal(ga__wordpiece_open(vocab, &uncased, &wp, &err), status);
    assert_null(wp);
    if (!strstr(err.msg, message))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, message);
}

static void bad_vocabularies_are_refused(void **state)
{
    (void)state;
    check_refused((ga_str){NULL, 0}, GA_FORMAT, "[PAD]");
    check_refused(STR("[UNK]\n[CLS]\n[SEP]\n"), GA_FORMAT, "\"[PAD]\"");
    check_refused(STR("[PAD]\n[CLS]\n[SEP]\n"), GA_FORMAT, "\"[UNK]\"");
    check_refused(STR("[PAD]\n[UNK]\n[SEP]\n"), GA_FORMAT, "\"[CLS]\"");
    check_refused(STR("[PAD]\n[UNK]\n[CLS]\n[sep]\n"), GA_FORMAT, "\"[SEP]\"");
    check_refused(STR("\xEF\xBB\xBF" SPECIALS), GA_FORMAT, "\"[PAD]\"");
    check_refused(STR(SPECIALS "ok\nab\xFF"
                               "c\n"),
                  GA_FORMAT, "line 7: invalid UTF-8 at byte 2");
    check_refused(STR(SPECIALS "##\xC3\n"), GA_FORMAT, "line 6");

    char *lines = malloc(GA_MAX_VOCAB_BYTES + 1);
    assert_non_null(lines);
    memcpy(lines, SPECIALS, strlen(SPECIALS));
    char *rest = lines + strlen(SPECIALS);
    memset(rest, 'x', GA_MAX_TOKEN_BYTES + 1);
    ga_str vocab = {lines, strlen(SPECIALS) + GA_MAX_TOKEN_BYTES};
    ga__wordpiece_close(open_vocab(vocab, &uncased));
    vocab.len++;
    check_refused(vocab, GA_LIMIT, "line 6: the token has 1025 bytes");

    memset(rest, '\n', GA_MAX_VOCAB_BYTES + 1 - strlen(SPECIALS));
    vocab.len = strlen(SPECIALS) + GA_MAX_VOCAB_TOKENS - FIRST;
    ga__wordpiece_close(open_vocab(vocab, &uncased));
    vocab.len++;
    check_refused(vocab, GA_LIMIT, "1000001 tokens");
    vocab.len = GA_MAX_VOCAB_BYTES + 1;
    check_refused(vocab, GA_LIMIT, "bytes");
    free(lines);
}

/* golden files */

static ga_map map_file(const char *path)
{
    ga_map map = GA_MAP_INIT;
    ga_error err = {""};
    if (ga__map_open(path, &map, &err) != GA_OK)
        fail_msg("%s", err.msg);
    return map;
}

/* Compare the ids of every case that are under `key`. */
static void check_cases(const ga_json *doc, const ga_wordpiece *wp,
                        const char *key)
{
    ga_wordpiece_scratch *s = ga__wordpiece_scratch_new();
    ga_buf text;
    uint32_t cases = ga__json_get(doc, 0, "cases");
    ga__buf_init(&text, GA_MAX_TEXT_BYTES);
    assert_non_null(s);
    assert_true(doc->nodes[cases].count > 150);
    for (uint32_t c = ga__json_first(cases); c < doc->nodes[cases].next;
         c = ga__json_next(doc, c)) {
        uint32_t expected = ga__json_get(doc, c, key);
        uint32_t string = ga__json_get(doc, c, "text");
        const uint32_t *ids = NULL;
        size_t n = 0, i = 0;
        bool cut;
        ga__buf_clear(&text);
        assert_int_equal(ga__json_string(doc, string, &text, NULL), GA_OK);
        assert_int_equal(ga__wordpiece_encode(wp, s,
                                              (ga_str){text.ptr, text.len},
                                              4096, &ids, &n, &cut, NULL),
                         GA_OK);
        bool equal = n == doc->nodes[expected].count;
        for (uint32_t v = ga__json_first(expected); equal && i < n; i++) {
            uint64_t id = 0;
            equal = ga__json_uint(doc, v, UINT32_MAX, &id) && id == ids[i];
            v = ga__json_next(doc, v);
        }
        if (!equal)
            fail_msg("other ids (%s) for %.*s", key,
                     (int)ga__json_raw(doc, string).len,
                     ga__json_raw(doc, string).ptr);
    }
    ga__buf_free(&text);
    ga__wordpiece_scratch_free(s);
}

static ga_json parse_golden(ga_map map)
{
    ga_json doc = GA_JSON_INIT;
    ga_error err = {""};
    if (ga__json_parse(&doc, (ga_str){(const char *)map.ptr, map.len}, &err))
        fail_msg("%s", err.msg);
    return doc;
}

static void golden_ids_of_the_small_vocabulary(void **state)
{
    static const struct {
        const char *key;
        const ga_wordpiece_options *options;
    } sets[] = {{"uncased", &uncased},
                {"cased", &cased},
                {"keep_accents", &keep_accents}};
    (void)state;
    ga_map map = map_file(GA_SOURCE_DIR "/tests/golden/tokenizer.json");
    ga_json doc = parse_golden(map);
    ga_buf vocab;
    ga__buf_init(&vocab, GA_MAX_VOCAB_BYTES);
    uint32_t tokens = ga__json_get(&doc, 0, "vocab");
    for (uint32_t t = ga__json_first(tokens); t < doc.nodes[tokens].next;
         t = ga__json_next(&doc, t)) {
        assert_int_equal(ga__json_string(&doc, t, &vocab, NULL), GA_OK);
        assert_int_equal(ga__buf_str(&vocab, "\n", NULL), GA_OK);
    }
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        ga_wordpiece *wp =
            open_vocab((ga_str){vocab.ptr, vocab.len}, sets[i].options);
        check_cases(&doc, wp, sets[i].key);
        ga__wordpiece_close(wp);
    }
    ga__buf_free(&vocab);
    ga__json_free(&doc);
    ga__map_close(&map);
}

static void golden_ids_of_the_base_encoder(void **state)
{
    const char *folder = getenv("GUIDEALIGN_BASE_ENCODER");
    (void)state;
    if (!folder) {
        printf("skipped: GUIDEALIGN_BASE_ENCODER names no model folder\n");
        skip();
    }
    char *path = ga__path_join(folder, "vocab.txt");
    assert_non_null(path);
    ga_map bytes = map_file(path);
    ga_map map = map_file(GA_SOURCE_DIR "/tests/golden/tokenizer.json");
    ga_json doc = parse_golden(map);
    ga_wordpiece *wp =
        open_vocab((ga_str){(const char *)bytes.ptr, bytes.len}, &uncased);
    check_cases(&doc, wp, "base");
    ga__wordpiece_close(wp);
    ga__json_free(&doc);
    ga__map_close(&map);
    ga__map_close(&bytes);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_longest_pieces),
        cmocka_unit_test(a_word_without_pieces_is_unknown_as_a_whole),
        cmocka_unit_test(the_longest_word_has_100_characters),
        cmocka_unit_test(characters_are_cleaned),
        cmocka_unit_test(punctuation_and_ideographs_stand_alone),
        cmocka_unit_test(case_and_accents_follow_the_options),
        cmocka_unit_test(marks_are_put_into_canonical_order),
        cmocka_unit_test(special_tokens_in_a_text_have_their_ids),
        cmocka_unit_test(cuts_behind_max_ids),
        cmocka_unit_test(invalid_text_is_refused_with_its_byte),
        cmocka_unit_test(large_texts),
        cmocka_unit_test(vocabularies_in_odd_shapes),
        cmocka_unit_test(bad_vocabularies_are_refused),
        cmocka_unit_test(golden_ids_of_the_small_vocabulary),
        cmocka_unit_test(golden_ids_of_the_base_encoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
