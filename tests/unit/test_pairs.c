/* test_pairs.c: reading pairs, and what the check finds in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "train/pairs_check.h"

static char path[64];

/* A file with this text; `path` names it. */
static void write_file(char *name, const char *text)
{
    strcpy(name, "/tmp/ga_pairs_XXXXXX");
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static ga_status read_text(const char *text, ga_pair_set *set, ga_error *err)
{
    write_file(path, text);
    ga_status rc = ga__pairs_read(path, set, err);
    unlink(path);
    return rc;
}

static void test_read(void **state)
{
    ga_pair_set set = GA_PAIR_SET_INIT;
    (void)state;
    assert_int_equal(
        read_text(
            "{\"prompt\":\"a \\\"b\\\"\",\"positives\":[\"x\",\"y\"],"
            "\"grades\":[3,1],\"negatives\":[\"z\"],\"risks\":[\"insult\"]"
            ",\"unsafe\":true,\"split\":\"dev\",\"cluster\":\"c1\"}\n\n"
            "{\"positives\":[\"x\"],\"prompt\":\"p\"}",
            &set, NULL),
        GA_OK);
    assert_int_equal(set.count, 2);
    const ga_pair *p = set.items;
    assert_int_equal(p->prompt.len, 5);
    assert_memory_equal(p->prompt.ptr, "a \"b\"", 5);
    assert_int_equal(p->positives.count, 2);
    assert_int_equal(p->grades[1], 1);
    assert_true(p->unsafe);
    assert_false(ga__pair_trains(p));
    assert_int_equal(p[1].line, 3);
    assert_int_equal(p[1].grades[0], 3); /* not given: must */
    assert_true(ga__pair_trains(&p[1]));
    ga__pairs_free(&set);
}

static void refuse(const char *text, ga_status status, const char *message)
{
    ga_pair_set set = GA_PAIR_SET_INIT;
    ga_error err = {""};
    ga_status rc = read_text(text, &set, &err);
    if (rc != status || !strstr(err.msg, message) || !strstr(err.msg, path))
        fail_msg("status %d instead of %d: '%s'", (int)rc, (int)status,
                 err.msg);
    ga__pairs_free(&set);
}

static void test_refuses(void **state)
{
    (void)state;
    refuse("{\"prompt\":\"p\"}\n{\"positives\":[]}", GA_FORMAT,
           ":2: \"prompt\" is missing");
    refuse("{\"prompt\":\"p\",\"posit\":[]}", GA_FORMAT,
           "unknown key \"posit\"");
    refuse("{\"prompt\":7}", GA_FORMAT, "\"prompt\" must be a string");
    refuse("{\"prompt\":\"p\",\"positives\":\"x\"}", GA_FORMAT,
           "\"positives\" must be a list");
    refuse("{\"prompt\":\"p\",\"positives\":[\"x\"],\"grades\":[1,2]}",
           GA_FORMAT, "a grade for each of the 1 positives");
    refuse("{\"prompt\":\"p\",\"positives\":[\"x\"],\"grades\":[4]}", GA_INVAL,
           "a grade is 1, 2 or 3");
    refuse("{\"prompt\":\"p\",\"risks\":[\"sloth\"]}", GA_INVAL,
           "'sloth' is none of the risk types");
    refuse("{\"prompt\":\"p\",\"unsafe\":1}", GA_FORMAT, "true or false");
    refuse("[]", GA_FORMAT, "must be a JSON object");
    refuse("{\"prompt\":\"p\"", GA_FORMAT, ":1: ");
    ga_pair_set set = GA_PAIR_SET_INIT;
    assert_int_equal(ga__pairs_read("/nowhere/p.jsonl", &set, NULL),
                     GA_NOTFOUND);
}

/* ---- the check ---- */

static const ga_str examples[] = {{"can i read my flatmate's diary", 30}};

static const ga_guideline library[] = {
    {.id = {"a", 1},
     .text = {"Offer a way out that keeps both faces, before any judgement.",
              60},
     .kind = GA_GUIDELINE_SAFETY,
     .triggers = {examples, 1}},
    {.id = {"b", 1},
     .text = {"Round at the end.", 17},
     .kind = GA_GUIDELINE_QUALITY},
};

/* Findings of one check in pairs of this text. */
static size_t found(const char *text, ga_pairs_check check,
                    const ga_pairs_check_options *options)
{
    ga_pair_set set = GA_PAIR_SET_INIT;
    ga_pairs_report r = GA_PAIRS_REPORT_INIT;
    ga_pairs_check_options o;
    ga__pairs_check_options_init(&o);
    assert_int_equal(read_text(text, &set, NULL), GA_OK);
    assert_int_equal(
        ga__pairs_check(&set, library, 2, options ? options : &o, &r, NULL),
        GA_OK);
    size_t n = r.by_check[check];
    ga__pairs_report_free(&r);
    ga__pairs_free(&set);
    return n;
}

#define PAIR(prompt, rest) "{\"prompt\":\"" prompt "\"," rest "}\n"

static void test_labels(void **state)
{
    (void)state;
    assert_int_equal(found(PAIR("p q", "\"positives\":[\"a\",\"c\"]"),
                           GA_PAIRS_unknown_guideline, NULL),
                     1);
    assert_int_equal(
        found(PAIR("p q", "\"positives\":[\"a\"],\"negatives\":[\"a\"]"),
              GA_PAIRS_contradiction, NULL),
        1);
    assert_int_equal(
        found(PAIR("p", "\"positives\":[]"), GA_PAIRS_no_positive, NULL), 1);
    assert_int_equal(found(PAIR("p", "\"positives\":[],\"kind\":\"ordinary\""),
                           GA_PAIRS_no_positive, NULL),
                     0);
    assert_int_equal(
        found(PAIR("p", "\"positives\":[\"a\"],\"kind\":\"ordinary\""),
              GA_PAIRS_no_positive, NULL),
        1);
    assert_int_equal(found(PAIR("p", "\"positives\":[\"a\"]"),
                           GA_PAIRS_unused_guideline, NULL),
                     1);
    assert_int_equal(found(PAIR("we want a way out that keeps him quiet",
                                "\"positives\":[\"a\"]"),
                           GA_PAIRS_guideline_words, NULL),
                     1);
}

static void test_leaks(void **state)
{
    (void)state;
    assert_int_equal(
        found(PAIR("one", "\"positives\":[\"a\"],\"cluster\":\"c\","
                          "\"split\":\"train\"")
                  PAIR("two", "\"positives\":[\"a\"],\"cluster\":\"c\","
                              "\"split\":\"test\""),
              GA_PAIRS_cluster_leak, NULL),
        1);
    assert_int_equal(
        found(PAIR("The boat is late!", "\"positives\":[\"a\"]")
                  PAIR("the boat, is late", "\"positives\":[\"b\"]"),
              GA_PAIRS_same_prompt, NULL),
        1);
    assert_int_equal(
        found(PAIR("Can I read my flatmates diary?", "\"positives\":[\"a\"]"),
              GA_PAIRS_same_prompt, NULL),
        1); /* a trigger */
    static const char *const leak =
        PAIR("my boat to the island is two hours late today",
             "\"positives\":[\"a\"],\"split\":\"train\"")
            PAIR("my boat to the island is two hours late again",
                 "\"positives\":[\"a\"],\"split\":\"test\"");
    assert_int_equal(found(leak, GA_PAIRS_prompt_leak, NULL), 1);
    assert_int_equal(found(leak, GA_PAIRS_similar_prompt, NULL), 1);
    ga_pairs_check_options o;
    ga__pairs_check_options_init(&o);
    o.leak = 0.9;
    o.rouge = 0.95;
    assert_int_equal(found(leak, GA_PAIRS_prompt_leak, &o), 0);
    assert_int_equal(found(leak, GA_PAIRS_similar_prompt, &o), 0);
}

static void test_held_out(void **state)
{
    char file[64];
    ga_pairs_check_options o;
    (void)state;
    ga__pairs_check_options_init(&o);
    write_file(file, "{\"id\":\"b\",\"split\":\"test-new-guidelines\"}\n");
    o.held_out = file;
    assert_int_equal(
        found(PAIR("p", "\"positives\":[\"a\"],\"negatives\":[\"b\"]")
                  PAIR("q", "\"positives\":[\"b\"],\"split\":\"dev\"")
                      PAIR("r", "\"positives\":[\"b\"],\"split\":\"test\""),
              GA_PAIRS_guideline_leak, &o),
        2);
    unlink(file);
    ga_pair_set set = GA_PAIR_SET_INIT;
    ga_pairs_report r = GA_PAIRS_REPORT_INIT;
    ga_error err = {""};
    assert_int_equal(read_text(PAIR("p", "\"positives\":[\"a\"]"), &set, NULL),
                     GA_OK);
    assert_int_equal(ga__pairs_check(&set, library, 2, &o, &r, &err),
                     GA_NOTFOUND);
    write_file(file, "{\"id\":\"z\"}\n");
    o.held_out = file;
    assert_int_equal(ga__pairs_check(&set, library, 2, &o, &r, &err),
                     GA_NOTFOUND);
    assert_non_null(strstr(err.msg, ":1: no guideline 'z'"));
    unlink(file);
    ga__pairs_report_free(&r);
    ga__pairs_free(&set);
}

static void test_benchmark(void **state)
{
    char file[64];
    const char *against[] = {file};
    ga_pairs_check_options o;
    (void)state;
    ga__pairs_check_options_init(&o);
    o.against = against;
    o.against_count = 1;
    write_file(file, "{\"a\":[{\"q\":\"Tell me how one two three four five six "
                     "seven eight.\"}],\"b\":\"short whole prompt of a set\"}");
    assert_int_equal(
        found(PAIR("so one two three four five six seven eight nine",
                   "\"positives\":[\"a\"]")
                  PAIR("Short whole prompt of a set?", "\"positives\":[\"a\"]")
                      PAIR("one two three four five six seven",
                           "\"positives\":[\"a\"]"),
              GA_PAIRS_benchmark_overlap, &o),
        2);
    unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),     cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_labels),   cmocka_unit_test(test_leaks),
        cmocka_unit_test(test_held_out), cmocka_unit_test(test_benchmark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
