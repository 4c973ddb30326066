/* test_compose.c: where the guidelines go in a conversation, and that
 * everything else stays as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "guidealign/guidealign.h"
#include "pack/pack.h"
#include "tiny_pack.h"

#define SYSTEM(text)                                                           \
    {                                                                          \
        GA_ROLE_SYSTEM, TINY_S(text)                                           \
    }
#define USER(text)                                                             \
    {                                                                          \
        GA_ROLE_USER, TINY_S(text)                                             \
    }
#define ASSISTANT(text)                                                        \
    {                                                                          \
        GA_ROLE_ASSISTANT, TINY_S(text)                                        \
    }
#define TOOL(text)                                                             \
    {                                                                          \
        GA_ROLE_TOOL, TINY_S(text)                                             \
    }

/* What "over" and "b" look like; the latter has no title. */
#define BLOCK                                                                  \
    "Here are some guidelines for the AI assistant to follow:\n"               \
    "- Over: jump over it, we jumped.\n"                                       \
    "- b c b c"

enum { POSITIONS = 4 };

static ga_pack *pack;
static ga_scratch *scratch;
static ga_decision *decision;
static ga_guide_options options; /* that choose just those two */

static int set_up(void **state)
{
    static const ga_str pins[] = {TINY_S("over"), TINY_S("b")};
    size_t len;
    unsigned char *bytes = tiny_pack_bytes(&len);
    (void)state;
    ga_guide_options_init(&options);
    options.threshold = 1;
    options.pinned = pins;
    options.pinned_count = 2;
    int rc = tiny_pack_open(bytes, len, &pack, NULL) ||
             ga_scratch_new(1, &scratch, NULL) ||
             ga_decision_new(&decision, NULL);
    free(bytes);
    return rc;
}

static int tear_down(void **state)
{
    (void)state;
    ga_decision_free(decision);
    ga_scratch_free(scratch);
    ga_pack_close(pack);
    return 0;
}

static void check_equal(const ga_message *got, size_t got_n,
                        const ga_message *wanted, size_t n)
{
    assert_int_equal(got_n, n);
    for (size_t i = 0; i < n; i++) {
        if (got[i].role != wanted[i].role ||
            !ga__str_equal(got[i].text, wanted[i].text))
            fail_msg("message %zu is %d '%.*s', not %d '%.*s'", i,
                     (int)got[i].role, (int)got[i].text.len, got[i].text.ptr,
                     (int)wanted[i].role, (int)wanted[i].text.len,
                     wanted[i].text.ptr);
    }
}

static void check(const ga_message *in, size_t n, ga_position position,
                  const ga_message *wanted, size_t wanted_n)
{
    ga_composed *c = NULL;
    ga_error err = {""};
    size_t got_n = 4711;
    if (ga_guide(pack, scratch, in, n, &options, decision, &err) ||
        ga_compose(pack, decision, in, n, position, &c, &err))
        fail_msg("%s", err.msg);
    const ga_message *got = ga_composed_messages(c, &got_n);
    check_equal(got, got_n, wanted, wanted_n);
    ga_composed_free(c);
}

#define LIST(...)                                                              \
    (const ga_message[]){__VA_ARGS__},                                         \
        sizeof((const ga_message[]){__VA_ARGS__}) / sizeof(ga_message)

static void test_one_turn(void **state)
{
    (void)state;
    check(LIST(USER("q")), GA_POSITION_SYSTEM, LIST(SYSTEM(BLOCK), USER("q")));
    check(LIST(USER("q")), GA_POSITION_LAST_SYSTEM,
          LIST(SYSTEM(BLOCK), USER("q")));
    check(LIST(USER("q")), GA_POSITION_USER_PREFIX, LIST(USER(BLOCK "\n\nq")));
    check(LIST(USER("q")), GA_POSITION_USER_SUFFIX, LIST(USER("q\n\n" BLOCK)));
}

static void test_existing_system(void **state)
{
    (void)state;
    check(LIST(SYSTEM("s"), USER("q")), GA_POSITION_SYSTEM,
          LIST(SYSTEM("s\n\n" BLOCK), USER("q")));
    check(LIST(SYSTEM("s"), USER("q")), GA_POSITION_LAST_SYSTEM,
          LIST(SYSTEM("s"), SYSTEM(BLOCK), USER("q")));
    check(LIST(SYSTEM("s"), USER("q")), GA_POSITION_USER_PREFIX,
          LIST(SYSTEM("s"), USER(BLOCK "\n\nq")));
    check(LIST(SYSTEM("s"), USER("q")), GA_POSITION_USER_SUFFIX,
          LIST(SYSTEM("s"), USER("q\n\n" BLOCK)));
    /* an empty one is filled, without empty lines at its head */
    check(LIST(SYSTEM(""), USER("q")), GA_POSITION_SYSTEM,
          LIST(SYSTEM(BLOCK), USER("q")));
    /* only a leading one counts, and of several the first */
    check(LIST(SYSTEM("s"), SYSTEM("t"), USER("q")), GA_POSITION_SYSTEM,
          LIST(SYSTEM("s\n\n" BLOCK), SYSTEM("t"), USER("q")));
    check(LIST(USER("q"), SYSTEM("s"), USER("r")), GA_POSITION_SYSTEM,
          LIST(SYSTEM(BLOCK), USER("q"), SYSTEM("s"), USER("r")));
}

static void test_long_conversation(void **state)
{
#define HEAD                                                                   \
    SYSTEM("s"), USER("q"), ASSISTANT("a"), USER("r"), ASSISTANT("b"),         \
        TOOL("t"), ASSISTANT("c")
    (void)state;
    check(LIST(HEAD, USER("x")), GA_POSITION_SYSTEM,
          LIST(SYSTEM("s\n\n" BLOCK), USER("q"), ASSISTANT("a"), USER("r"),
               ASSISTANT("b"), TOOL("t"), ASSISTANT("c"), USER("x")));
    /* the head stays byte-identical, for prompt caches */
    check(LIST(HEAD, USER("x")), GA_POSITION_LAST_SYSTEM,
          LIST(HEAD, SYSTEM(BLOCK), USER("x")));
    check(LIST(HEAD, USER("x")), GA_POSITION_USER_PREFIX,
          LIST(HEAD, USER(BLOCK "\n\nx")));
    check(LIST(HEAD, USER("x")), GA_POSITION_USER_SUFFIX,
          LIST(HEAD, USER("x\n\n" BLOCK)));
    /* something behind the last user turn */
    check(LIST(HEAD, USER("x"), ASSISTANT("y"), TOOL("z")),
          GA_POSITION_LAST_SYSTEM,
          LIST(HEAD, SYSTEM(BLOCK), USER("x"), ASSISTANT("y"), TOOL("z")));
    check(LIST(HEAD, USER("x"), ASSISTANT("y"), TOOL("z")),
          GA_POSITION_USER_SUFFIX,
          LIST(HEAD, USER("x\n\n" BLOCK), ASSISTANT("y"), TOOL("z")));
}

/* A request that is spread over several turns stays together. */
static void test_trailing_user_turns(void **state)
{
    (void)state;
    check(LIST(ASSISTANT("a"), USER("x"), USER("y"), USER("z")),
          GA_POSITION_SYSTEM,
          LIST(SYSTEM(BLOCK), ASSISTANT("a"), USER("x"), USER("y"), USER("z")));
    check(LIST(ASSISTANT("a"), USER("x"), USER("y"), USER("z")),
          GA_POSITION_LAST_SYSTEM,
          LIST(ASSISTANT("a"), SYSTEM(BLOCK), USER("x"), USER("y"), USER("z")));
    check(LIST(ASSISTANT("a"), USER("x"), USER("y"), USER("z")),
          GA_POSITION_USER_PREFIX,
          LIST(ASSISTANT("a"), USER("x"), USER("y"), USER(BLOCK "\n\nz")));
    check(LIST(ASSISTANT("a"), USER("x"), USER("y"), USER("z")),
          GA_POSITION_USER_SUFFIX,
          LIST(ASSISTANT("a"), USER("x"), USER("y"), USER("z\n\n" BLOCK)));
    check(LIST(USER("x"), USER("y")), GA_POSITION_LAST_SYSTEM,
          LIST(SYSTEM(BLOCK), USER("x"), USER("y")));
    /* an empty last turn gets the block and nothing around it */
    check(LIST(USER("x"), USER("")), GA_POSITION_USER_PREFIX,
          LIST(USER("x"), USER(BLOCK)));
    check(LIST(USER("x"), USER("")), GA_POSITION_USER_SUFFIX,
          LIST(USER("x"), USER(BLOCK)));
}

/* What is pinned is there although nothing can be looked up: a picture alone,
 * or a conversation without a user. */
static void test_no_query(void **state)
{
    (void)state;
    check(LIST(USER(" ")), GA_POSITION_SYSTEM, LIST(SYSTEM(BLOCK), USER(" ")));
    check(LIST(USER(" ")), GA_POSITION_USER_SUFFIX, LIST(USER(" \n\n" BLOCK)));
    for (int p = 0; p < POSITIONS; p++) {
        check(LIST(SYSTEM("s"), ASSISTANT("a")), (ga_position)p,
              p == GA_POSITION_LAST_SYSTEM
                  ? (const ga_message[]){SYSTEM("s"), ASSISTANT("a"),
                                         SYSTEM(BLOCK)}
                  : (const ga_message[]){SYSTEM("s\n\n" BLOCK), ASSISTANT("a")},
              p == GA_POSITION_LAST_SYSTEM ? 3 : 2);
        check(NULL, 0, (ga_position)p, LIST(SYSTEM(BLOCK)));
    }
}

/* A NUL hides nothing here either. */
static void test_embedded_nul(void **state)
{
    (void)state;
    check(LIST(USER("q\0r")), GA_POSITION_USER_SUFFIX,
          LIST(USER("q\0r\n\n" BLOCK)));
    check(LIST(SYSTEM("\0s"), USER("\0")), GA_POSITION_SYSTEM,
          LIST(SYSTEM("\0s\n\n" BLOCK), USER("\0")));
}

/* With nothing chosen the conversation is the one that came in. */
static void test_nothing_chosen(void **state)
{
    static const ga_message in[] = {SYSTEM("s"), USER("q\0r"), TOOL(""),
                                    ASSISTANT("a"), USER("x")};
    ga_guide_options none;
    ga_decision *fresh = NULL;
    (void)state;
    ga_guide_options_init(&none);
    none.threshold = 1;
    assert_int_equal(ga_decision_new(&fresh, NULL), GA_OK);
    for (int guided = 0; guided < 2; guided++) {
        for (size_t n = 0; n <= 5; n++) {
            for (int p = 0; p < POSITIONS; p++) {
                ga_composed *c = NULL;
                size_t got_n;
                ga_error err = {""};
                if (guided &&
                    ga_guide(pack, scratch, in, n, &none, fresh, &err))
                    fail_msg("%s", err.msg);
                if (ga_compose(pack, fresh, n ? in : NULL, n, (ga_position)p,
                               &c, &err))
                    fail_msg("%s", err.msg);
                const ga_message *got = ga_composed_messages(c, &got_n);
                check_equal(got, got_n, in, n);
                for (size_t i = 0; i < n; i++) /* not even copied */
                    assert_ptr_equal(got[i].text.ptr, in[i].text.ptr);
                ga_composed_free(c);
            }
        }
    }
    ga_decision_free(fresh);
    ga_composed_free(NULL);
}

/* The composed texts do not need the decision any more. */
static void test_lifetime(void **state)
{
    static const ga_message in[] = {USER("q")};
    static const ga_message wanted[] = {SYSTEM(BLOCK), USER("q")};
    ga_decision *d = NULL;
    ga_composed *c = NULL;
    size_t n;
    (void)state;
    assert_int_equal(ga_decision_new(&d, NULL), GA_OK);
    assert_int_equal(ga_guide(pack, scratch, in, 1, &options, d, NULL), GA_OK);
    assert_int_equal(ga_compose(pack, d, in, 1, GA_POSITION_SYSTEM, &c, NULL),
                     GA_OK);
    ga_decision_free(d);
    const ga_message *got = ga_composed_messages(c, &n);
    check_equal(got, n, wanted, 2);
    ga_composed_free(c);
}

static void test_bad_arguments(void **state)
{
    static const ga_message in[] = {USER("q")};
    ga_composed *c = NULL;
    ga_error err = {""};
    (void)state;
    assert_int_equal(ga_guide(pack, scratch, in, 1, &options, decision, NULL),
                     GA_OK);
    assert_int_equal(
        ga_compose(NULL, decision, in, 1, GA_POSITION_SYSTEM, &c, &err),
        GA_INVAL);
    assert_int_equal(
        ga_compose(pack, NULL, in, 1, GA_POSITION_SYSTEM, &c, &err), GA_INVAL);
    assert_int_equal(
        ga_compose(pack, decision, NULL, 1, GA_POSITION_SYSTEM, &c, &err),
        GA_INVAL);
    assert_int_equal(
        ga_compose(pack, decision, in, 1, (ga_position)4, &c, &err), GA_INVAL);
    assert_int_equal(
        ga_compose(pack, decision, in, 1, GA_POSITION_SYSTEM, NULL, NULL),
        GA_INVAL);
}

/* A decision by another, larger pack is noticed, not followed. */
static void test_other_pack(void **state)
{
    char path[96];
    ga_pack *small = NULL;
    ga_composed *c = NULL;
    static const ga_message in[] = {USER("q")};
    (void)state;
    tiny_pack_path(path);
    assert_int_equal(
        tiny_pack_write(path, tiny_guidelines, 1, 1, NULL, NULL, NULL), GA_OK);
    assert_int_equal(ga_pack_open(path, &small, NULL), GA_OK);
    assert_true(tiny_pack_remove(path));
    assert_int_equal(ga_guide(pack, scratch, in, 1, &options, decision, NULL),
                     GA_OK);
    assert_int_equal(
        ga_compose(small, decision, in, 1, GA_POSITION_SYSTEM, &c, NULL),
        GA_INVAL);
    assert_null(c);
    ga_pack_close(small);
}

/* The longest message and the longest guidelines still fit together. */
static void test_longest(void **state)
{
    static char text[GA_MAX_GUIDELINE_BYTES], title[GA_MAX_TITLE_BYTES];
    static char ids[GA_MAX_K][8];
    static ga_guideline list[GA_MAX_K];
    ga_str pins[GA_MAX_K];
    char path[96];
    ga_pack *large = NULL;
    ga_composed *c = NULL;
    ga_error err = {""};
    ga_guide_options o;
    size_t n;
    (void)state;
    memset(text, 'x', sizeof(text));
    memset(title, 'y', sizeof(title));
    for (size_t i = 0; i < GA_MAX_K; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%zu", i);
        pins[i] = ga__str(ids[i]);
        list[i] = (ga_guideline){.id = pins[i],
                                 .title = {title, sizeof(title)},
                                 .text = {text, sizeof(text)},
                                 .kind = GA_GUIDELINE_QUALITY,
                                 .status = GA_STATUS_APPROVED};
    }
    tiny_pack_path(path);
    assert_int_equal(tiny_pack_write(path, list, GA_MAX_K, 1, NULL, NULL, NULL),
                     GA_OK);
    assert_int_equal(ga_pack_open(path, &large, NULL), GA_OK);
    assert_true(tiny_pack_remove(path));
    ga_guide_options_init(&o);
    o.pinned = pins;
    o.pinned_count = GA_MAX_K;
    char *huge = malloc(GA_MAX_TEXT_BYTES);
    memset(huge, 'a', GA_MAX_TEXT_BYTES);
    ga_message m = {GA_ROLE_USER, {huge, GA_MAX_TEXT_BYTES}};
    if (ga_guide(large, scratch, &m, 1, &o, decision, &err) ||
        ga_compose(large, decision, &m, 1, GA_POSITION_USER_SUFFIX, &c, &err))
        fail_msg("%s", err.msg);
    const ga_message *got = ga_composed_messages(c, &n);
    size_t heading = ga__pack_view(large)->heading.len;
    assert_int_equal(n, 1);
    assert_int_equal(got[0].text.len,
                     GA_MAX_TEXT_BYTES + 2 + heading +
                         GA_MAX_K * (3 + sizeof(title) + 2 + sizeof(text)));
    assert_memory_equal(got[0].text.ptr, huge, GA_MAX_TEXT_BYTES);
    ga_composed_free(c);
    free(huge);
    ga_pack_close(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_turn),
        cmocka_unit_test(test_existing_system),
        cmocka_unit_test(test_long_conversation),
        cmocka_unit_test(test_trailing_user_turns),
        cmocka_unit_test(test_no_query),
        cmocka_unit_test(test_embedded_nul),
        cmocka_unit_test(test_nothing_chosen),
        cmocka_unit_test(test_lifetime),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_other_pack),
        cmocka_unit_test(test_longest),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
