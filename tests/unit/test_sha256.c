/* test_sha256.c: the vectors of FIPS 180-4 and of NIST's CAVP, and the two
 * implementations against each other.
 *
 * The file under test is included, so that the plain path can be called on a
 * CPU that has the instructions. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/sha256.c" /* NOLINT(bugprone-suspicious-include) */

static void check(const void *bytes, size_t len, const char *expected)
{
    uint8_t digest[32];
    char hex[65];
    ga__sha256_of(bytes, len, digest);
    ga__hex(digest, 32, hex);
    assert_string_equal(hex, expected);
}

static void test_vectors(void **state)
{
    (void)state;
    check(NULL, 0,
          "e3b0c44298fc1c149afbf4c8996fb924"
          "27ae41e4649b934ca495991b7852b855");
    check("abc", 3,
          "ba7816bf8f01cfea414140de5dae2223"
          "b00361a396177a9cb410ff61f20015ad");
    check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
          "248d6a61d20638b8e5c026930c3e6039"
          "a33ce45964ff2167f6ecedd419db06c1");
    check("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
          "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
          112,
          "cf5b16a778af8380036ce59e7b049237"
          "0b249b11e8f07a51afac45037afee9d1");
    check("\xbd", 1,
          "68325720aabd7c82f30f554b313d0570"
          "c95accbb7dc4b5aae11204c08ffe732b");
}

/* Zeros of the lengths where the padding changes; from Python's hashlib. */
static void test_lengths_around_a_block(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        const char *hex;
    } cases[] = {
        {1, "6e340b9cffb37a989ca544e6bb780a2c"
            "78901d3fb33738768511a30617afa01d"},
        {55, "02779466cdec163811d078815c633f21"
             "901413081449002f24aa3e80f0b88ef7"},
        {56, "d4817aa5497628e7c77e6b606107042b"
             "bba3130888c5f47a375e6179be789fbb"},
        {63, "c7723fa1e0127975e49e62e753db5392"
             "4c1bd84b8ac1ac08df78d09270f3d971"},
        {64, "f5a5fd42d16a20302798ef6ed309979b"
             "43003d2320d9f0e8ea9831a92759fb4b"},
        {65, "98ce42deef51d40269d542f5314bef2c"
             "7468d401ad5d85168bfab4c0108f75f7"},
        {119, "f616b0d54e78571a9611f343c9f8e022"
              "e859e920381ab0e4d3da01e193a7bd7e"},
        {120, "6edd9f6f9cc92cded36e6c4a580933f9"
              "c9f1b90562b46903b806f21902a1a54f"},
        {127, "15dae5979058bfbf4f9166029b6e340e"
              "a3ca374fef578a11dc9e6e923860d7ae"},
        {128, "38723a2e5e8a17aa7950dc008209944e"
              "898f69a7bd10a23c839d341e935fd5ca"},
    };
    static const uint8_t zeros[128];
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        check(zeros, cases[i].len, cases[i].hex);
}

static char *bytes_of_all_kinds(size_t len)
{
    char *bytes = malloc(len);
    uint32_t x = 1;
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        bytes[i] = (char)(x >> 24);
    }
    return bytes;
}

static void test_a_million(void **state)
{
    (void)state;
    static const char hex[] = "cdc76e5c9914fb9281a1c7e284d73e67"
                              "f1809a48a497200e046d39ccc7112cd0";
    const size_t len = 1000000;
    char *a = malloc(len);
    assert_non_null(a);
    memset(a, 'a', len);
    check(a, len, hex);
    /* and in pieces of 1, 2, 3, ... bytes */
    ga_sha256 h;
    uint8_t digest[32];
    char got[65];
    ga__sha256_init(&h);
    for (size_t at = 0, n = 1; at < len; n++) {
        size_t take = n < len - at ? n : len - at;
        ga__sha256_update(&h, a + at, take);
        at += take;
    }
    ga__sha256_final(&h, digest);
    ga__hex(digest, 32, got);
    assert_string_equal(got, hex);
    free(a);
}

static void test_every_split(void **state)
{
    (void)state;
    enum { LEN = 200 };
    char *bytes = bytes_of_all_kinds(LEN);
    for (size_t len = 0; len <= LEN; len += 1 + len / 60) {
        uint8_t whole[32], pieces[32];
        ga__sha256_of(bytes, len, whole);
        for (size_t cut = 0; cut <= len; cut++) {
            ga_sha256 h;
            ga__sha256_init(&h);
            ga__sha256_update(&h, bytes, cut);
            ga__sha256_update(&h, NULL, 0); /* an empty file in between */
            ga__sha256_update(&h, bytes + cut, len - cut);
            ga__sha256_final(&h, pieces);
            assert_memory_equal(pieces, whole, 32);
        }
    }
    free(bytes);
}

#if defined(__x86_64__)
static void test_instructions_give_the_same(void **state)
{
    (void)state;
    enum { BLOCKS = 50 };
    if (!have_sha_ni()) {
        print_message("this CPU has no SHA instructions\n");
        skip();
    }
    char *bytes = bytes_of_all_kinds(BLOCKS * 64 + 1);
    const uint8_t *p = (const uint8_t *)bytes + 1; /* not aligned */
    for (size_t blocks = 0; blocks <= BLOCKS; blocks++) {
        ga_sha256 a, b;
        ga__sha256_init(&a);
        b = a;
        compress_plain(a.state, p, blocks);
        compress_sha_ni(b.state, p, blocks);
        assert_memory_equal(a.state, b.state, sizeof(a.state));
    }
    free(bytes);
}
#endif

/* The plain path on its own, wherever this runs. */
static void test_plain(void **state)
{
    (void)state;
    uint8_t block[64] = {'a', 'b', 'c', 0x80, [63] = 24};
    ga_sha256 h;
    ga__sha256_init(&h);
    compress_plain(h.state, block, 1);
    assert_int_equal(h.state[0], 0xba7816bf);
    assert_int_equal(h.state[7], 0xf20015ad);
}

static void test_hex(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x00, 0x0f, 0xf0, 0xff, 0xa5};
    char hex[11];
    ga__hex(bytes, 5, hex);
    assert_string_equal(hex, "000ff0ffa5");
    ga__hex(bytes, 0, hex);
    assert_string_equal(hex, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_lengths_around_a_block),
        cmocka_unit_test(test_a_million),
        cmocka_unit_test(test_every_split),
#if defined(__x86_64__)
        cmocka_unit_test(test_instructions_give_the_same),
#endif
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
