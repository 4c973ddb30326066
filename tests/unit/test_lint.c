/* test_lint.c: each check of a library finds what it is for, and nothing
 * else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "library/lint.h"

static const ga_str triggers[] = {
    {"my landlord wants a photo of me first", 37},
    {"is it fine to post this", 23},
    {"what do i answer", 16},
};
static const ga_str near_misses[] = {{"photo of a landlord's house", 27}};

static ga_guideline good(const char *id, const char *text)
{
    ga_guideline g = {.id = ga__str(id),
                      .title = ga__str("A title"),
                      .text = ga__str(text),
                      .kind = GA_GUIDELINE_QUALITY,
                      .triggers = {triggers, 3},
                      .non_triggers = {near_misses, 1}};
    return g;
}

static const char *const solid =
    "Give the figure asked for in the first line, with its unit and where it "
    "comes from.";

/* Findings of one check about n guidelines. */
static size_t found(const ga_guideline *g, size_t n, ga_lint_check check)
{
    ga_lint_options o;
    ga_lint_report r = GA_LINT_REPORT_INIT;
    size_t count = 0;
    ga__lint_options_init(&o);
    o.least_triggers = 3;
    assert_int_equal(ga__lint(g, n, NULL, NULL, &o, &r, NULL), GA_OK);
    for (size_t i = 0; i < r.count; i++) {
        assert_true(r.items[i].guideline < n);
        assert_non_null(r.items[i].message);
        assert_true(i == 0 || r.items[i].guideline >= r.items[i - 1].guideline);
        count += r.items[i].check == check;
    }
    ga__lint_free(&r);
    return count;
}

static void test_nothing_to_find(void **state)
{
    const ga_guideline g = good("a", solid);
    ga_lint_options o;
    ga_lint_report r = GA_LINT_REPORT_INIT;
    (void)state;
    ga__lint_options_init(&o);
    o.least_triggers = 3;
    assert_int_equal(ga__lint(&g, 1, NULL, NULL, &o, &r, NULL), GA_OK);
    assert_int_equal(r.count, 0);
    assert_int_equal(ga__lint(&g, 0, NULL, NULL, &o, &r, NULL), GA_OK);
    assert_int_equal(r.count, 0);
    ga__lint_free(&r);
}

static void test_texts(void **state)
{
    static char long_text[1024];
    (void)state;
    for (size_t i = 0; i < 90; i++)
        snprintf(long_text + 4 * i, sizeof(long_text) - 4 * i, "w%02zu ", i);
    ga_guideline g = good("a", "Answer it.");
    assert_int_equal(found(&g, 1, GA_LINT_short_text), 1);
    g = good("a", long_text);
    assert_int_equal(found(&g, 1, GA_LINT_long_text), 1);
    g = good("a",
             "Be respectful and be careful in every answer that is given.");
    assert_int_equal(found(&g, 1, GA_LINT_vague), 1);
    /* the phrase does no harm in a text that says something */
    g = good("a", "Be careful with doses: name the leaflet, ask for weight and "
                  "age, and leave the number to a pharmacist or doctor.");
    assert_int_equal(found(&g, 1, GA_LINT_vague), 0);
    g.title = (ga_str){"", 0};
    assert_int_equal(found(&g, 1, GA_LINT_no_title), 1);
}

static void test_examples(void **state)
{
    static const ga_str telling[] = {
        {"give the figure asked for please", 32}, {"b c", 3}, {"d e", 3}};
    ga_guideline g = good("a", solid);
    (void)state;
    g.triggers.count = 2;
    assert_int_equal(found(&g, 1, GA_LINT_few_triggers), 1);
    g.non_triggers.count = 0;
    assert_int_equal(found(&g, 1, GA_LINT_no_near_miss), 1);
    g.triggers = (ga_str_list){telling, 3};
    assert_int_equal(found(&g, 1, GA_LINT_own_words), 1);
}

static void test_pairs(void **state)
{
    static const ga_str others[] = {
        {"an unlike prompt about boats", 28},
        {"IS it fine, to post this?", 25}, /* word for word the second */
        {"my landlord wants a photo of me now", 35},
    };
    ga_guideline g[2] = {good("a", solid), good("b", solid)};
    (void)state;
    assert_int_equal(found(g, 2, GA_LINT_same_text), 1);
    assert_int_equal(found(g, 2, GA_LINT_similar_text), 0); /* not twice */
    assert_int_equal(found(g, 2, GA_LINT_same_prompt), 4);
    g[1] = good("b", "Give the figure asked for in the last line, with its "
                     "unit and where it comes from.");
    g[1].triggers = (ga_str_list){others, 3};
    g[1].non_triggers = (ga_str_list){others, 1};
    assert_int_equal(found(g, 2, GA_LINT_same_text), 0);
    assert_int_equal(found(g, 2, GA_LINT_similar_text), 1);
    /* with a, and its own first trigger as its near miss */
    assert_int_equal(found(g, 2, GA_LINT_same_prompt), 2);
    assert_int_equal(found(g, 2, GA_LINT_similar_prompt), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_find),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
