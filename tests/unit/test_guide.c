/* test_guide.c: what a conversation is looked up by, which guidelines are
 * chosen, against a naive choice, and what an error leaves behind. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "guide/guide_internal.h"
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

enum { H = TINY_HIDDEN, HEAD = 2400, TAIL = 1200 };

static ga_pack *pack; /* nothing is risky in it */
static ga_scratch *scratch;
static ga_decision *decision;

static ga_pack *open_with_risky(float risky)
{
    ga_pack *out = NULL;
    ga_error err = {""};
    if (tiny_pack_open_with(GA_PACK_CALIBRATION,
                            offsetof(ga_pack_calibration, risky), &risky,
                            sizeof(risky), &out, &err))
        fail_msg("%s", err.msg);
    return out;
}

static int set_up(void **state)
{
    (void)state;
    pack = open_with_risky(2);
    return ga_scratch_new(1, &scratch, NULL) ||
           ga_decision_new(&decision, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    ga_decision_free(decision);
    ga_scratch_free(scratch);
    ga_pack_close(pack);
    return 0;
}

static size_t find(const char *id)
{
    size_t g = ga__pack_find(pack, ga__str(id));
    assert_true(g != SIZE_MAX);
    return g;
}

/* Defaults, but with every guideline a candidate and room for all. */
static ga_guide_options wide(void)
{
    ga_guide_options o;
    ga_guide_options_init(&o);
    o.threshold = 0;
    o.k = GA_MAX_K;
    o.budget = 100000;
    return o;
}

static void guide(const ga_pack *p, const ga_message *m, size_t n,
                  const ga_guide_options *o)
{
    ga_error err = {""};
    if (ga_guide(p, scratch, m, n, o, decision, &err))
        fail_msg("%s", err.msg);
}

static void guide_text(const ga_pack *p, const char *text,
                       const ga_guide_options *o)
{
    ga_message m = {GA_ROLE_USER, ga__str(text)};
    guide(p, &m, 1, o);
}

/* The candidate that stands for guideline g, NULL when there is none. */
static const ga_candidate *candidate(size_t g)
{
    size_t count;
    const ga_candidate *c = ga_decision_candidates(decision, NULL, &count);
    for (size_t i = 0; i < count; i++) {
        if (c[i].index == g)
            return &c[i];
    }
    return NULL;
}

static bool chosen(size_t g)
{
    size_t n;
    const ga_candidate *c = ga_decision_candidates(decision, &n, NULL);
    for (size_t i = 0; i < n; i++) {
        if (c[i].index == g)
            return true;
    }
    return false;
}

/* ---- views ---- */

static void check_views(const ga_message *m, size_t n, const char *const *views,
                        size_t count)
{
    ga_error err = {""};
    assert_int_equal(ga__guide_views(m, n, decision, &err), GA_OK);
    assert_int_equal(decision->view_count, count);
    for (size_t i = 0; i < count; i++) {
        if (!ga__str_is(decision->views[i], views[i]))
            fail_msg("view %zu is '%.*s', not '%s'", i,
                     (int)decision->views[i].len, decision->views[i].ptr,
                     views[i]);
    }
}

#define VIEWS(...)                                                             \
    (const char *const[]){__VA_ARGS__},                                        \
        sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

static void test_views(void **state)
{
    static const ga_message one[] = {USER("a")};
    static const ga_message run[] = {SYSTEM("s"), USER("a"), USER("b")};
    static const ga_message turns[] = {USER("a"), ASSISTANT("x"), USER("b")};
    static const ga_message tools[] = {
        USER("a"), ASSISTANT("x"), USER("b"), TOOL("t"), USER("c"), SYSTEM("s"),
    };
    static const ga_message answered[] = {USER("a"), USER("b"), ASSISTANT("x")};
    static const ga_message continued[] = {USER("a"), ASSISTANT("x"), USER("b"),
                                           ASSISTANT("y")};
    static const ga_message blank[] = {USER("a"), ASSISTANT("x"),
                                       USER(" \n\t")};
    static const ga_message empties[] = {USER(""), USER("a"), USER("")};
    static const ga_message again[] = {USER(""), ASSISTANT("x"), USER("a")};
    (void)state;
    check_views(one, 1, VIEWS("a"));
    check_views(run, 3, VIEWS("a\nb"));
    check_views(turns, 3, VIEWS("b", "a\nb"));
    check_views(tools, 6, VIEWS("b\nc", "a\nb\nc"));
    check_views(answered, 3, VIEWS("a\nb"));
    check_views(continued, 4, VIEWS("b", "a\nb"));
    check_views(blank, 3, VIEWS("a\n \n\t"));
    check_views(empties, 3, VIEWS("a\n"));
    check_views(again, 3, VIEWS("a"));
}

static void test_no_views(void **state)
{
    static const ga_message none[] = {SYSTEM("the cat"), ASSISTANT("sat"),
                                      TOOL("on the mat")};
    static const ga_message blank[] = {USER(" \t\r\n"), USER("")};
    ga_guide_options o = wide();
    (void)state;
    for (size_t n = 0; n <= 3; n++) {
        check_views(none, n, NULL, 0);
        guide(pack, n ? none : NULL, n, &o);
        assert_int_equal(ga_decision_get_state(decision), GA_DECISION_SKIPPED);
    }
    for (size_t n = 1; n <= 2; n++) {
        check_views(blank, n, NULL, 0);
        guide(pack, blank, n, &o);
        assert_int_equal(ga_decision_get_state(decision), GA_DECISION_SKIPPED);
        assert_true(ga_decision_unsafe(decision) == 0);
        assert_int_equal(ga_decision_tokens(decision), 0);
    }
}

/* A text of so many bytes whose every place can be told. */
static char *long_text(size_t n)
{
    char *text = calloc(1, n + 16);
    for (size_t at = 0; at < n; at += 8)
        snprintf(text + at, 9, "%07u ", (unsigned)at % 10000000u);
    text[n] = '\0';
    return text;
}

/* Of a long turn the beginning and the end are looked up, of a huge one only
 * those are kept. */
static void test_long_views(void **state)
{
    static const size_t sizes[] = {TAIL - 1, TAIL,     TAIL + 1,     HEAD,
                                   HEAD + 1, 2 * HEAD, 2 * HEAD + 1, 100000};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        size_t n = sizes[i];
        char *text = long_text(n);
        ga_message m = {GA_ROLE_USER, {text, n}};
        assert_int_equal(ga__guide_views(&m, 1, decision, NULL), GA_OK);
        assert_int_equal(decision->view_count, n > TAIL ? 2 : 1);
        ga_str first = decision->views[0];
        assert_int_equal(first.len, n > 2 * HEAD ? 2 * HEAD : n);
        size_t head = n > 2 * HEAD ? HEAD : n;
        assert_memory_equal(first.ptr, text, head);
        if (n > 2 * HEAD)
            assert_memory_equal(first.ptr + HEAD, text + n - HEAD, HEAD);
        if (n > TAIL) {
            assert_int_equal(decision->views[1].len, TAIL);
            assert_memory_equal(decision->views[1].ptr, text + n - TAIL, TAIL);
        }
        free(text);
    }
}

/* Nothing is cut inside a character. */
static void test_long_views_of_characters(void **state)
{
    static const char *const characters[] = {"\xC3\xA9", "\xE7\x8C\xAB",
                                             "\xF0\x9F\x90\x88"};
    (void)state;
    for (size_t c = 0; c < 3; c++) {
        size_t width = strlen(characters[c]);
        for (size_t shift = 0; shift < width; shift++) {
            size_t n = shift;
            char *text = calloc(1, 20000);
            memset(text, 'a', shift);
            while (n + width < 16000) {
                memcpy(text + n, characters[c], width);
                n += width;
            }
            const ga_message m[] = {{GA_ROLE_USER, {text, n}},
                                    ASSISTANT("x"),
                                    {GA_ROLE_USER, {text, n}},
                                    USER("b")};
            assert_int_equal(ga__guide_views(m, 4, decision, NULL), GA_OK);
            assert_true(decision->view_count >= 2);
            for (size_t v = 0; v < decision->view_count; v++)
                assert_int_equal(ga__utf8_invalid_at(decision->views[v]),
                                 decision->views[v].len);
            free(text);
        }
    }
}

/* Earlier turns are cut from the front. */
static void test_history_view(void **state)
{
    char *old = long_text(5000);
    const ga_message m[] = {{GA_ROLE_USER, {old, 5000}},
                            ASSISTANT("x"),
                            USER("older"),
                            ASSISTANT("y"),
                            USER("now")};
    (void)state;
    assert_int_equal(ga__guide_views(m, 5, decision, NULL), GA_OK);
    assert_int_equal(decision->view_count, 2);
    assert_true(ga__str_is(decision->views[0], "now"));
    ga_str all = decision->views[1];
    assert_int_equal(all.len, 2 * TAIL);
    assert_memory_equal(all.ptr + all.len - 10, "\nolder\nnow", 10);
    assert_memory_equal(all.ptr, old + 5000 - (2 * TAIL - 10), 2 * TAIL - 10);
    free(old);
    /* where the last turns fill it, there is no view of the history */
    old = long_text(4000);
    const ga_message full[] = {
        USER("a"), ASSISTANT("x"), {GA_ROLE_USER, {old, 4000}}};
    assert_int_equal(ga__guide_views(full, 3, decision, NULL), GA_OK);
    assert_int_equal(decision->view_count, 2);
    assert_int_equal(decision->views[1].len, TAIL);
    free(old);
}

/* ---- scores ---- */

/* The estimate of each guideline, naively, from the views of the decision. */
static void naive_scores(const ga_pack *p, const ga_message *m, size_t n,
                         double *scores)
{
    const ga_pack_view *v = ga__pack_view(p);
    ga_decision *d = NULL;
    float queries[GA__MAX_VIEWS * H];
    assert_int_equal(ga_decision_new(&d, NULL), GA_OK);
    assert_int_equal(ga__guide_views(m, n, d, NULL), GA_OK);
    assert_true(d->view_count > 0);
    assert_int_equal(ga_encoder_embed(ga_pack_encoder(p), scratch, d->views,
                                      d->view_count, queries, NULL),
                     GA_OK);
    for (size_t g = 0; g < v->count; g++) {
        double best = -INFINITY;
        for (size_t i = 0; i < d->view_count; i++) {
            double sum = 0;
            for (size_t j = 0; j < H; j++)
                sum +=
                    (double)queries[i * H + j] * (double)v->vectors[g * H + j];
            best = sum > best ? sum : best;
        }
        best += (double)v->biases[g];
        scores[g] = 1 / (1 + exp(-((double)v->calibration.scale * best +
                                   (double)v->calibration.offset)));
    }
    ga_decision_free(d);
}

static const ga_message conversation[] = {
    SYSTEM("you is the cat."), USER("run, dog, run"), ASSISTANT("in of to"),
    USER("lazy you?"),         TOOL("1 2 1 2"),       USER("a quick fox!")};
enum { CONVERSATION = sizeof(conversation) / sizeof(*conversation) };

static void test_rank(void **state)
{
    uint32_t order[TINY_APPROVED];
    double scores[TINY_APPROVED], wanted[TINY_APPROVED];
    bool seen[TINY_APPROVED] = {false};
    ga_error err = {""};
    (void)state;
    assert_int_equal(ga_rank(pack, scratch, conversation, CONVERSATION, order,
                             scores, decision, &err),
                     GA_OK);
    naive_scores(pack, conversation, CONVERSATION, wanted);
    for (size_t i = 0; i < TINY_APPROVED; i++) {
        assert_true(order[i] < TINY_APPROVED && !seen[order[i]]);
        seen[order[i]] = true;
        assert_true(fabs(scores[i] - wanted[order[i]]) < 1e-5);
        assert_true(scores[i] >= 0 && scores[i] <= 1);
        if (i > 0)
            assert_true(
                scores[i] < scores[i - 1] ||
                (scores[i] == scores[i - 1] && order[i] > order[i - 1]));
    }
    assert_true(scores[0] > scores[TINY_APPROVED - 1]);
    assert_int_equal(ga_decision_get_state(decision), GA_DECISION_NONE);
    /* no query, no scores, but an order all the same */
    assert_int_equal(
        ga_rank(pack, scratch, NULL, 0, order, scores, decision, &err), GA_OK);
    assert_int_equal(ga_decision_get_state(decision), GA_DECISION_SKIPPED);
    for (size_t i = 0; i < TINY_APPROVED; i++) {
        assert_int_equal(order[i], i);
        assert_true(scores[i] == 0);
    }
}

/* Only the user steers: whatever the others say, nothing moves by a bit. */
static void test_others_never_steer(void **state)
{
    ga_message other[CONVERSATION];
    uint32_t order[TINY_APPROVED], order2[TINY_APPROVED];
    double scores[TINY_APPROVED], scores2[TINY_APPROVED];
    (void)state;
    memcpy(other, conversation, sizeof(other));
    for (size_t i = 0; i < CONVERSATION; i++) {
        if (other[i].role != GA_ROLE_USER)
            other[i].text = ga__str("jump over it, we jumped. jump over!");
    }
    assert_int_equal(ga_rank(pack, scratch, conversation, CONVERSATION, order,
                             scores, decision, NULL),
                     GA_OK);
    double unsafe = ga_decision_unsafe(decision);
    assert_int_equal(ga_rank(pack, scratch, other, CONVERSATION, order2,
                             scores2, decision, NULL),
                     GA_OK);
    assert_memory_equal(order, order2, sizeof(order));
    assert_memory_equal(scores, scores2, sizeof(scores));
    assert_true(unsafe == ga_decision_unsafe(decision));
    /* the user does */
    other[5].text = ga__str("1 1 1");
    assert_int_equal(ga_rank(pack, scratch, other, CONVERSATION, order2,
                             scores2, decision, NULL),
                     GA_OK);
    assert_memory_not_equal(scores, scores2, sizeof(scores));
}

/* The risk head on the riskiest view, as the pack has it. */
static void test_risks(void **state)
{
    const ga_pack_view *v = ga__pack_view(pack);
    ga_guide_options o = wide();
    ga_message m[] = {USER("the fox, quick!"), ASSISTANT("x"), USER("lazy")};
    const ga_str views[] = {TINY_S("lazy"), TINY_S("the fox, quick!\nlazy")};
    float queries[2 * H];
    (void)state;
    assert_int_equal(ga_encoder_embed(ga_pack_encoder(pack), scratch, views, 2,
                                      queries, NULL),
                     GA_OK);
    guide(pack, m, 3, &o);
    for (size_t r = 0; r <= GA_RISKS; r++) {
        const float *w = v->risk_head + r * (H + 1);
        double best = 0;
        for (size_t i = 0; i < 2; i++) {
            double sum = (double)w[H];
            for (size_t j = 0; j < H; j++)
                sum += (double)w[j] * (double)queries[i * H + j];
            sum = 1 / (1 + exp(-sum));
            best = sum > best ? sum : best;
        }
        double got = r ? ga_decision_risk(decision, r - 1)
                       : ga_decision_unsafe(decision);
        assert_true(fabs(got - best) < 1e-5);
    }
    assert_true(ga_decision_risk(decision, GA_RISKS) == 0);
    assert_true(ga_decision_risk(decision, SIZE_MAX) == 0);
}

/* ---- options ---- */

static void refuse(const ga_guide_options *o, ga_status status,
                   const char *what)
{
    ga_message m = USER("the cat sat on the mat.");
    ga_error err = {""};
    ga_guide_options good = wide();
    guide(pack, &m, 1, &good); /* what an earlier call left has to go */
    assert_int_equal(ga_decision_get_state(decision), GA_DECISION_GUIDED);
    ga_status rc = ga_guide(pack, scratch, &m, 1, o, decision, &err);
    size_t n, count;
    ga_decision_candidates(decision, &n, &count);
    if (rc != status || !strstr(err.msg, what))
        fail_msg("status %d instead of %d, '%s' not in: %s", (int)rc,
                 (int)status, what, err.msg);
    assert_int_equal(ga_decision_get_state(decision), GA_DECISION_SKIPPED);
    assert_int_equal(n, 0);
    assert_int_equal(count, 0);
    assert_int_equal(ga_decision_tokens(decision), 0);
    assert_true(ga_decision_unsafe(decision) == 0);
    assert_int_equal(ga_guide(pack, scratch, &m, 1, o, decision, NULL), status);
}

static void test_options(void **state)
{
    ga_guide_options o;
    (void)state;
    ga_guide_options_init(&o);
    assert_int_equal(o.k, 6);
    assert_int_equal(o.budget, 400);
    assert_true(o.threshold < 0 && o.diversity == 0.3);
    assert_int_equal(o.position, GA_POSITION_SYSTEM);
#define REFUSE(member, value, what)                                            \
    do {                                                                       \
        ga_guide_options_init(&o);                                             \
        o.member = (value);                                                    \
        refuse(&o, GA_INVAL, what);                                            \
    } while (0)
    REFUSE(size, 0, "ga_guide_options_init");
    REFUSE(size, sizeof(o) + 8, "ga_guide_options_init");
    REFUSE(k, 0, "k is 0");
    REFUSE(k, GA_MAX_K + 1, "k is 33");
    REFUSE(threshold, NAN, "threshold");
    REFUSE(threshold, 1.01, "threshold is 1.01");
    REFUSE(threshold, INFINITY, "threshold");
    REFUSE(diversity, -0.1, "diversity is -0.1");
    REFUSE(diversity, 1.5, "diversity is 1.5");
    REFUSE(diversity, NAN, "diversity");
    REFUSE(position, (ga_position)4, "position is 4");
    REFUSE(scope_count, 1, "list");
    REFUSE(pinned_count, 1, "list");
#undef REFUSE
}

static void test_null_arguments(void **state)
{
    ga_message m = USER("a");
    ga_guide_options o = wide();
    uint32_t order[TINY_APPROVED];
    double scores[TINY_APPROVED];
    ga_error err = {""};
    (void)state;
    assert_int_equal(ga_guide(NULL, scratch, &m, 1, &o, decision, &err),
                     GA_INVAL);
    assert_int_equal(ga_guide(pack, NULL, &m, 1, &o, decision, &err), GA_INVAL);
    assert_int_equal(ga_guide(pack, scratch, NULL, 1, &o, decision, &err),
                     GA_INVAL);
    assert_int_equal(ga_guide(pack, scratch, &m, 1, NULL, decision, &err),
                     GA_INVAL);
    assert_int_equal(ga_guide(pack, scratch, &m, 1, &o, NULL, NULL), GA_INVAL);
    assert_int_equal(
        ga_rank(pack, scratch, &m, 1, NULL, scores, decision, &err), GA_INVAL);
    assert_int_equal(ga_rank(pack, scratch, &m, 1, order, NULL, decision, &err),
                     GA_INVAL);
    assert_int_equal(
        ga_rank(pack, scratch, NULL, 1, order, scores, decision, &err),
        GA_INVAL);
    ga_decision_free(NULL);
}

static void test_names(void **state)
{
    ga_error err = {""};
    ga_position position;
    (void)state;
    for (int i = 0; i < 4; i++) {
        const char *name = ga_position_name((ga_position)i);
        assert_int_equal(ga_position_find(name, &position, &err), GA_OK);
        assert_int_equal(position, i);
    }
    assert_null(ga_position_name((ga_position)4));
    assert_int_equal(ga_position_find("System", &position, &err), GA_INVAL);
    assert_non_null(strstr(err.msg, "'System'"));
    assert_non_null(strstr(err.msg, "user-suffix"));
    assert_string_equal(ga_decision_state_name(GA_DECISION_GUIDED), "guided");
    assert_string_equal(ga_decision_state_name(GA_DECISION_NONE), "none");
    assert_string_equal(ga_decision_state_name(GA_DECISION_SKIPPED), "skipped");
    assert_null(ga_decision_state_name((ga_decision_state)3));
    assert_null(ga_decision_state_name((ga_decision_state)-1));
    assert_string_equal(ga_version(), GA_VERSION);
}

/* ---- candidates ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Above the pack's thresholds, of which there are two, or the caller's. */
static void test_thresholds(void **state)
{
    double scores[TINY_APPROVED], sorted[TINY_APPROVED];
    ga_message m = USER("a cat sat");
    ga_pack *p = NULL;
    size_t between = 0;
    (void)state;
    naive_scores(pack, &m, 1, scores);
    memcpy(sorted, scores, sizeof(sorted));
    qsort(sorted, TINY_APPROVED, sizeof(*sorted), ascending);
    const float low = (float)(sorted[2] + sorted[3]) / 2;
    const float high = (float)(sorted[7] + sorted[8]) / 2;
    const float thresholds[2] = {low, high};
    assert_int_equal(
        tiny_pack_open_with(GA_PACK_CALIBRATION,
                            offsetof(ga_pack_calibration, threshold),
                            thresholds, sizeof(thresholds), &p, NULL),
        GA_OK);
    const double options[] = {-1, 0, (double)low, (double)high, 1};
    for (size_t t = 0; t < sizeof(options) / sizeof(*options); t++) {
        ga_guide_options o = wide();
        o.threshold = options[t];
        guide(p, &m, 1, &o);
        for (size_t g = 0; g < TINY_APPROVED; g++) {
            const ga_pack_row *row = &ga__pack_view(p)->rows[g];
            bool quality = row->kind == GA_GUIDELINE_QUALITY;
            double least = options[t] >= 0 ? options[t]
                           : quality       ? (double)low
                                           : (double)high;
            const ga_candidate *c = candidate(g);
            assert_int_equal(c != NULL,
                             scores[g] >= least && row->scope_len == 0);
            between += options[t] < 0 && !quality && scores[g] >= (double)low &&
                       scores[g] < (double)high;
            if (c)
                assert_true(fabs(c->score - scores[g]) < 1e-5);
        }
    }
    assert_true(between > 0);
    ga_pack_close(p);
}

static void test_none(void **state)
{
    ga_guide_options o = wide();
    size_t n, count;
    (void)state;
    o.threshold = 1;
    guide_text(pack, "the cat sat on the mat.", &o);
    ga_decision_candidates(decision, &n, &count);
    assert_int_equal(ga_decision_get_state(decision), GA_DECISION_NONE);
    assert_int_equal(n, 0);
    assert_int_equal(count, 0);
    /* there are candidates, but no room for any */
    o = wide();
    o.budget = 0;
    guide_text(pack, "the cat sat on the mat.", &o);
    ga_decision_candidates(decision, &n, &count);
    assert_int_equal(ga_decision_get_state(decision), GA_DECISION_NONE);
    assert_int_equal(n, 0);
    assert_true(count > 0);
    assert_int_equal(ga_decision_tokens(decision), 0);
}

static void test_scopes(void **state)
{
    static const ga_str scopes[] = {
        TINY_S("shop"), TINY_S("bank"),       TINY_S("sho"), TINY_S("shops"),
        TINY_S(""),     TINY_S("shop\nbank"), TINY_S("Shop")};
    size_t over = find("over");
    ga_guide_options o = wide();
    (void)state;
    guide_text(pack, "jump over", &o);
    assert_null(candidate(over));
    assert_non_null(candidate(find("jump"))); /* needs none */
    for (size_t i = 0; i < sizeof(scopes) / sizeof(*scopes); i++) {
        o.scopes = &scopes[i];
        o.scope_count = 1;
        guide_text(pack, "jump over", &o);
        assert_int_equal(candidate(over) != NULL, i < 2);
        assert_non_null(candidate(find("jump")));
    }
    o.scopes = scopes + 1; /* one in common is enough */
    o.scope_count = 6;
    guide_text(pack, "jump over", &o);
    assert_non_null(candidate(over));
}

static void test_pins(void **state)
{
    static const ga_str pins[] = {TINY_S("you"), TINY_S("over"), TINY_S("fox"),
                                  TINY_S("you")};
    ga_guide_options o;
    size_t n, count;
    uint32_t tokens = 0;
    (void)state;
    ga_guide_options_init(&o);
    o.threshold = 1; /* nothing by itself */
    o.pinned = pins;
    o.pinned_count = 3;
    o.k = 1;
    o.budget = 0;
    guide_text(pack, "1 1", &o);
    const ga_candidate *c = ga_decision_candidates(decision, &n, &count);
    assert_int_equal(ga_decision_get_state(decision), GA_DECISION_GUIDED);
    assert_int_equal(n, 3);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < n; i++) {
        size_t g = ga__pack_find(pack, pins[i]);
        assert_int_equal(c[i].index, g); /* in the order given */
        assert_true(c[i].pinned);
        assert_int_equal(c[i].verdict, GA_CHOSEN);
        assert_true(c[i].score > 0 && c[i].score < 1);
        tokens += ga__pack_view(pack)->rows[g].tokens;
    }
    assert_int_equal(ga_decision_tokens(decision), tokens);
    /* pinned twice is pinned */
    o.pinned_count = 4;
    guide_text(pack, "1 1", &o);
    ga_decision_candidates(decision, &n, &count);
    assert_int_equal(n, 3);
    assert_int_equal(ga_decision_tokens(decision), tokens);
    /* and is not found once more by its score */
    o.threshold = 0;
    o.k = GA_MAX_K;
    o.budget = 100000;
    guide_text(pack, "you, you!", &o);
    c = ga_decision_candidates(decision, &n, &count);
    assert_int_equal(count, TINY_APPROVED);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(c[i].pinned, i < 3);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(c[k].index, c[i].index);
    }
}

/* Pinned ones are chosen where there is nothing to go by, too. */
static void test_pins_without_query(void **state)
{
    static const ga_message m[] = {SYSTEM("a"), USER("  ")};
    static const ga_str pins[] = {TINY_S("mat-too"), TINY_S("no such")};
    ga_guide_options o = wide();
    size_t count, n;
    ga_error err = {""};
    (void)state;
    o.pinned = pins;
    o.pinned_count = 1;
    for (size_t messages = 0; messages <= 2; messages++) {
        guide(pack, m, messages, &o);
        const ga_candidate *c = ga_decision_candidates(decision, &n, &count);
        assert_int_equal(ga_decision_get_state(decision), GA_DECISION_GUIDED);
        assert_int_equal(n, 1);
        assert_int_equal(count, 1);
        assert_int_equal(c[0].index, find("mat-too"));
        assert_true(c[0].pinned && c[0].score == 0);
        assert_true(ga_decision_unsafe(decision) == 0);
    }
    o.pinned_count = 2;
    assert_int_equal(ga_guide(pack, scratch, m, 2, &o, decision, &err),
                     GA_NOTFOUND);
}

static void test_bad_pins(void **state)
{
    static const ga_str unknown[] = {TINY_S("you"), TINY_S("no such")};
    ga_str many[GA_MAX_K + 1];
    ga_guide_options o = wide();
    (void)state;
    o.pinned = unknown;
    o.pinned_count = 2;
    refuse(&o, GA_NOTFOUND, "'no such'");
    for (size_t i = 0; i <= GA_MAX_K; i++)
        many[i] = unknown[0];
    o.pinned = many;
    o.pinned_count = GA_MAX_K + 1;
    refuse(&o, GA_INVAL, "33 pinned");
    /* what stays out of the pack is unknown too */
    o.pinned = &tiny_guidelines[6].id;
    o.pinned_count = 1;
    refuse(&o, GA_NOTFOUND, "'a draft'");
}

/* ---- the choice ---- */

static void test_permits(void **state)
{
    ga_pack *risky = open_with_risky(0);
    ga_guide_options o = wide();
    static const ga_str pin = TINY_S("fox");
    size_t fox = find("fox");
    (void)state;
    guide_text(pack, "the fox, quick!", &o);
    assert_int_equal(candidate(fox)->verdict, GA_CHOSEN);
    guide_text(risky, "the fox, quick!", &o);
    assert_int_equal(candidate(fox)->verdict, GA_DROPPED_RISK);
    assert_false(chosen(fox));
    assert_true(chosen(find("run"))); /* a safety guideline is not dropped */
    /* pinned is always */
    o.pinned = &pin;
    o.pinned_count = 1;
    guide_text(risky, "the fox, quick!", &o);
    assert_true(chosen(fox));
    ga_pack_close(risky);
}

static void test_near_duplicates(void **state)
{
    size_t mat = find("mat"), too = find("mat-too");
    static const ga_str pin = TINY_S("mat-too");
    ga_guide_options o = wide();
    (void)state;
    o.diversity = 0;
    guide_text(pack, "a cat sat", &o);
    assert_int_equal(candidate(mat)->verdict, GA_CHOSEN);
    assert_int_equal(candidate(too)->verdict, GA_DROPPED_DUPLICATE);
    assert_true(candidate(mat)->score == candidate(too)->score);
    o.pinned = &pin;
    o.pinned_count = 1;
    guide_text(pack, "a cat sat", &o);
    assert_int_equal(candidate(too)->verdict, GA_CHOSEN);
    assert_int_equal(candidate(mat)->verdict, GA_DROPPED_DUPLICATE);
}

static double naive_cosine(const ga_pack_view *v, size_t a, size_t b)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t j = 0; j < H; j++) {
        double x = (double)v->vectors[a * H + j];
        double y = (double)v->vectors[b * H + j];
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

/* What the interface promises, said once more: of those left the one that is
 * worth most for its score, its difference from the chosen and its priority;
 * taken if nothing speaks against it. */
static void check_choice(const ga_pack *p, const ga_message *m, size_t n,
                         const ga_guide_options *o)
{
    const ga_pack_view *v = ga__pack_view(p);
    ga_verdict verdicts[64];
    size_t order[64], left = 0, taken = 0, count, got_chosen;
    bool done[64] = {false};
    double scores[64];
    uint32_t tokens = 0;
    guide(p, m, n, o);
    naive_scores(p, m, n, scores);
    const ga_candidate *c =
        ga_decision_candidates(decision, &got_chosen, &count);
    for (size_t i = 0; i < count; i++)
        left += !c[i].pinned;
    for (; taken < count - left; taken++) { /* the pinned ones */
        assert_true(c[taken].pinned);
        order[taken] = c[taken].index;
        done[c[taken].index] = true;
        tokens += v->rows[c[taken].index].tokens;
    }
    for (; left > 0; left--) {
        double most = -INFINITY;
        size_t best = SIZE_MAX;
        for (size_t g = 0; g < v->count; g++) {
            double like = 0;
            if (done[g] || !candidate(g))
                continue;
            for (size_t i = 0; i < taken; i++)
                like = fmax(like, naive_cosine(v, g, order[i]));
            double worth = (1 - o->diversity) * scores[g] -
                           o->diversity * like +
                           0.01 * (v->rows[g].priority - 5.0);
            /* equal ones in the order of their scores, then of their ids */
            if (worth > most + 1e-7 ||
                (worth > most - 1e-7 && best != SIZE_MAX &&
                 scores[g] > scores[best] + 1e-7)) {
                most = worth;
                best = g;
            }
        }
        done[best] = true;
        verdicts[best] = GA_CHOSEN;
        for (size_t i = 0; i < taken; i++) {
            if (v->rows[order[i]].cluster == v->rows[best].cluster)
                verdicts[best] = GA_DROPPED_DUPLICATE;
        }
        if (v->rows[best].kind == GA_GUIDELINE_PERMIT &&
            ga_decision_unsafe(decision) >= (double)v->calibration.risky)
            verdicts[best] = GA_DROPPED_RISK;
        else if (verdicts[best] == GA_CHOSEN && taken >= o->k)
            verdicts[best] = GA_DROPPED_COUNT;
        else if (verdicts[best] == GA_CHOSEN &&
                 tokens + v->rows[best].tokens > o->budget)
            verdicts[best] = GA_DROPPED_BUDGET;
        if (verdicts[best] == GA_CHOSEN) {
            order[taken++] = best;
            tokens += v->rows[best].tokens;
        }
    }
    assert_int_equal(got_chosen, taken);
    assert_int_equal(ga_decision_tokens(decision), tokens);
    for (size_t i = 0; i < taken; i++) {
        assert_int_equal(c[i].index, order[i]);
        assert_int_equal(c[i].verdict, GA_CHOSEN);
    }
    for (size_t i = taken; i < count; i++) { /* the others by score */
        assert_int_equal(c[i].verdict, verdicts[c[i].index]);
        assert_int_not_equal(c[i].verdict, GA_CHOSEN);
        if (i > taken)
            assert_true(c[i].score <= c[i - 1].score);
    }
}

static void test_choice(void **state)
{
    static const unsigned ks[] = {1, 2, 6, 32};
    static const unsigned budgets[] = {0, 12, 25, 40, 400};
    static const double diversities[] = {0, 0.3, 0.7, 1};
    static const char *const prompts[] = {
        "a cat sat", "run dog run! dogs jumping over lazy you",
        "1 2 1 2 in of to, the fox is quick"};
    static const ga_str pins[] = {TINY_S("b"), TINY_S("in")};
    ga_pack *risky = open_with_risky(0);
    (void)state;
    for (size_t i = 0; i < 4 * 5 * 4 * 3; i++) {
        ga_guide_options o = wide();
        ga_message m[3] = {USER("lazy"),
                           ASSISTANT("x"),
                           {GA_ROLE_USER, ga__str(prompts[i % 3])}};
        o.k = ks[i / 3 % 4];
        o.budget = budgets[i / 12 % 5];
        o.diversity = diversities[i / 60];
        o.pinned = pins;
        o.pinned_count = i % 5 == 0 ? 2 : 0;
        check_choice(i % 7 ? pack : risky, m, 3, &o);
    }
    ga_pack_close(risky);
}

/* More guidelines than candidates are looked at, and as many pins as may be. */
static void test_many(void **state)
{
    enum { MANY = 64 };
    static const char *const words[] = {"the", "cat", "dog", "sat",
                                        "run", "fox", "you", "lazy"};
    static char ids[MANY][8], texts[MANY][64];
    ga_guideline list[MANY] = {0};
    ga_str pins[GA_MAX_K];
    char path[96];
    ga_pack *p = NULL;
    size_t n, count;
    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        snprintf(ids[i], sizeof(ids[i]), "g%02zu", i);
        snprintf(texts[i], sizeof(texts[i]), "%s %s %s.", words[i % 8],
                 words[i / 8], words[(i + i / 8) % 8]);
        list[i] = (ga_guideline){.id = ga__str(ids[i]),
                                 .text = ga__str(texts[i]),
                                 .kind = GA_GUIDELINE_QUALITY,
                                 .status = GA_STATUS_APPROVED,
                                 .priority = (unsigned)(i % 10)};
    }
    tiny_pack_path(path);
    assert_int_equal(tiny_pack_write(path, list, MANY, 1, NULL, NULL, NULL),
                     GA_OK);
    assert_int_equal(ga_pack_open(path, &p, NULL), GA_OK);
    assert_true(tiny_pack_remove(path));
    ga_guide_options o = wide();
    guide_text(p, "the cat", &o);
    ga_decision_candidates(decision, &n, &count);
    assert_int_equal(count, GA__CANDIDATES);
    for (size_t i = 0; i < GA_MAX_K; i++)
        pins[i] = list[2 * i].id;
    o.pinned = pins;
    o.pinned_count = GA_MAX_K;
    guide_text(p, "the cat", &o);
    const ga_candidate *c = ga_decision_candidates(decision, &n, &count);
    assert_int_equal(n, GA_MAX_K);
    assert_int_equal(count, GA_MAX_K + GA__CANDIDATES);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(c[i].pinned, i < GA_MAX_K);
        assert_int_equal(c[i].index % 2 == 0, i < GA_MAX_K);
    }
    o.pinned_count = 10;
    o.k = 20;
    ga_message m = USER("the cat");
    check_choice(p, &m, 1, &o);
    ga_pack_close(p);
}

/* ---- conversations that are no good ---- */

static void refuse_messages(const ga_message *m, size_t n, ga_status status,
                            const char *what)
{
    ga_error err = {""};
    ga_guide_options o = wide();
    uint32_t order[TINY_APPROVED];
    double scores[TINY_APPROVED];
    for (int rank = 0; rank < 2; rank++) {
        err.msg[0] = '\0';
        guide_text(pack, "the cat sat on the mat.", &o);
        ga_status rc =
            rank ? ga_rank(pack, scratch, m, n, order, scores, decision, &err)
                 : ga_guide(pack, scratch, m, n, &o, decision, &err);
        if (rc != status || !strstr(err.msg, what))
            fail_msg("status %d instead of %d, '%s' not in: %s", (int)rc,
                     (int)status, what, err.msg);
        size_t count;
        ga_decision_candidates(decision, NULL, &count);
        assert_int_equal(count, 0);
        assert_int_equal(ga_decision_get_state(decision), GA_DECISION_SKIPPED);
        assert_true(ga_decision_unsafe(decision) == 0);
    }
    guide_text(pack, "the cat sat on the mat.", &o); /* all stays usable */
    assert_int_equal(ga_decision_get_state(decision), GA_DECISION_GUIDED);
}

static void test_invalid_utf8(void **state)
{
    ga_message m[3] = {SYSTEM("a"), USER("the cat"), ASSISTANT("b")};
    static const struct {
        ga_str text;
        const char *what;
    } cases[] = {{TINY_S("caf\xE9"), "byte 3"},
                 {TINY_S("\xC0\x80"), "byte 0"},
                 {TINY_S("a\xED\xA0\x80"), "byte 1"},
                 {TINY_S("ab\xF4\x90\x80\x80"), "byte 2"},
                 {TINY_S("a\0b\xFF"), "byte 3"}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        for (size_t at = 0; at < 3; at++) { /* whoever said it */
            char what[64];
            ga_message bad[3] = {m[0], m[1], m[2]};
            bad[at].text = cases[i].text;
            snprintf(what, sizeof(what), "message %zu is invalid UTF-8 at %s",
                     at, cases[i].what);
            refuse_messages(bad, 3, GA_INVAL, what);
        }
    }
    m[2].text = (ga_str){NULL, 5};
    refuse_messages(m, 3, GA_INVAL, "message 2");
    m[2].text = (ga_str){NULL, 0}; /* nothing is a text too */
    ga_guide_options o = wide();
    guide(pack, m, 3, &o);
    m[1].text = (ga_str){NULL, 0};
    guide(pack, m, 3, &o);
    assert_int_equal(ga_decision_get_state(decision), GA_DECISION_SKIPPED);
}

/* A NUL must not hide what stands behind it. */
static void test_embedded_nul(void **state)
{
    static const ga_message hidden = USER("\0\0the cat sat on the mat.");
    static const ga_message plain = USER("the cat sat on the mat.");
    double scores[2][TINY_APPROVED];
    uint32_t order[2][TINY_APPROVED];
    (void)state;
    assert_int_equal(
        ga_rank(pack, scratch, &plain, 1, order[0], scores[0], decision, NULL),
        GA_OK);
    assert_int_equal(
        ga_rank(pack, scratch, &hidden, 1, order[1], scores[1], decision, NULL),
        GA_OK);
    assert_int_equal(ga_decision_get_state(decision), GA_DECISION_NONE);
    assert_memory_equal(order[0], order[1], sizeof(order[0]));
    assert_memory_equal(scores[0], scores[1], sizeof(scores[0]));
}

static void test_limits(void **state)
{
    const size_t huge = GA_MAX_TEXT_BYTES + (1u << 20);
    char *text = malloc(huge);
    ga_message *many = calloc(5000, sizeof(*many));
    ga_message m[2] = {USER("a"), USER("b")};
    ga_guide_options o = wide();
    (void)state;
    memset(text, 'a', huge);
    m[1].text = (ga_str){text, huge};
    refuse_messages(m, 2, GA_LIMIT, "message 1 has 17825792 bytes");
    m[1].text.len = GA_MAX_TEXT_BYTES + 1;
    refuse_messages(m, 2, GA_LIMIT, "message 1");
    m[1].text.len = GA_MAX_TEXT_BYTES;
    guide(pack, m, 2, &o);
    assert_int_equal(decision->views[0].len, 2 + 2 * HEAD);
    for (size_t i = 0; i < 5000; i++)
        many[i] = (ga_message){GA_ROLE_USER, {text, 2 * HEAD}};
    refuse_messages(many, 5000, GA_LIMIT, "5000 messages");
    refuse_messages(many, GA_MAX_MESSAGES + 1, GA_LIMIT, "4097 messages");
    /* as much as is allowed, although together it is more than one text may
     * be */
    guide(pack, many, GA_MAX_MESSAGES, &o);
    assert_int_not_equal(ga_decision_get_state(decision), GA_DECISION_SKIPPED);
    many[GA_MAX_MESSAGES - 2].role = GA_ROLE_ASSISTANT;
    guide(pack, many, GA_MAX_MESSAGES, &o);
    assert_int_equal(decision->views[0].len, 2 * HEAD);
    free(many);
    free(text);
}

/* ---- the same answer again ---- */

static void test_threads_and_reuse(void **state)
{
    ga_scratch *three = NULL;
    ga_decision *fresh = NULL;
    ga_guide_options o = wide();
    size_t n, count, n2, count2;
    (void)state;
    o.k = 4;
    assert_int_equal(ga_scratch_new(3, &three, NULL), GA_OK);
    assert_int_equal(ga_decision_new(&fresh, NULL), GA_OK);
    assert_int_equal(ga_decision_get_state(fresh), GA_DECISION_SKIPPED);
    ga_decision_candidates(fresh, &n, &count);
    assert_true(n == 0 && count == 0);
    assert_int_equal(
        ga_guide(pack, three, conversation, CONVERSATION, &o, fresh, NULL),
        GA_OK);
    const ga_candidate *a = ga_decision_candidates(fresh, &n, &count);
    for (int again = 0; again < 3; again++) {
        guide_text(pack, again ? "1 1" : "", &o); /* something in between */
        guide(pack, conversation, CONVERSATION, &o);
        const ga_candidate *b = ga_decision_candidates(decision, &n2, &count2);
        assert_int_equal(n, n2);
        assert_int_equal(count, count2);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(a[i].index, b[i].index);
            assert_int_equal(a[i].verdict, b[i].verdict);
            assert_memory_equal(&a[i].score, &b[i].score, sizeof(double));
        }
        assert_true(ga_decision_unsafe(fresh) == ga_decision_unsafe(decision));
        assert_int_equal(ga_decision_tokens(fresh),
                         ga_decision_tokens(decision));
    }
    ga_decision_free(fresh);
    ga_scratch_free(three);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_no_views),
        cmocka_unit_test(test_long_views),
        cmocka_unit_test(test_long_views_of_characters),
        cmocka_unit_test(test_history_view),
        cmocka_unit_test(test_rank),
        cmocka_unit_test(test_others_never_steer),
        cmocka_unit_test(test_risks),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_null_arguments),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_thresholds),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_pins),
        cmocka_unit_test(test_pins_without_query),
        cmocka_unit_test(test_bad_pins),
        cmocka_unit_test(test_permits),
        cmocka_unit_test(test_near_duplicates),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_invalid_utf8),
        cmocka_unit_test(test_embedded_nul),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_threads_and_reuse),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
