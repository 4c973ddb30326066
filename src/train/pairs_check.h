/* pairs_check.h: may these pairs be trained on and measured by?
 *
 * A number measured on a prompt that was trained on, or trained on a benchmark,
 * is worth nothing; so leaks are errors.  What makes pairs weak without making
 * them wrong (prompts alike, words of the guideline in the prompt) is a
 * warning. */
#ifndef GA_TRAIN_PAIRS_CHECK_H
#define GA_TRAIN_PAIRS_CHECK_H

#include "train/pairs.h"

/* X(name, is an error) */
#define GA_PAIRS_CHECK_MAP(X)                                                  \
    X(unknown_guideline, true) /* an id that the library lacks */              \
    X(contradiction, true)     /* positive and negative at once */             \
    X(no_positive, true)       /* of a pair, or safety for an ordinary one */  \
    X(same_prompt, true)       /* word for word another or a trigger */        \
    X(cluster_leak, true)      /* a cluster on both sides of a split */        \
    X(guideline_leak, true)    /* a held-out guideline in training */          \
    X(prompt_leak, true)       /* a held-out prompt is like a trained one */   \
    X(benchmark_overlap, true) /* words in a row of a benchmark */             \
    X(similar_prompt, false)   /* ROUGE-L to another of its type */            \
    X(guideline_words, false)  /* the prompt repeats its guideline */          \
    X(unused_guideline, false) /* no pair has it as a positive */

typedef enum {
#define GA_PAIRS_CHECK_ENUM(name, is_error) GA_PAIRS_##name,
    GA_PAIRS_CHECK_MAP(GA_PAIRS_CHECK_ENUM)
#undef GA_PAIRS_CHECK_ENUM
        GA_PAIRS_CHECKS
} ga_pairs_check;

const char *ga__pairs_check_name(ga_pairs_check check);
bool ga__pairs_check_is_error(ga_pairs_check check);

typedef struct {
    double leak;        /* Jaccard of 3-word sequences across splits: 0.4 */
    double rouge;       /* ROUGE-L F within a type: 0.7 (the paper's) */
    size_t own_words;   /* of a guideline in a row: 4 */
    size_t bench_words; /* of a benchmark in a row: 8 */
    const char *const *against; /* benchmark files, JSON Lines */
    size_t against_count;
    /* {"id", "split"} of held-out guidelines, or NULL: a path */
    const char *held_out;
} ga_pairs_check_options;

void ga__pairs_check_options_init(ga_pairs_check_options *options);

typedef struct {
    ga_pairs_check check;
    const char *where; /* "train.jsonl:17", or a guideline's id */
    const char *message;
} ga_pairs_finding;

/* How often a value stands: of a split, a kind, a form, a language. */
typedef struct {
    ga_str name;
    size_t count;
} ga_pairs_count;

enum { GA_PAIRS_VALUES = 64 };

typedef struct {
    ga_pairs_count items[GA_PAIRS_VALUES];
    size_t count;
} ga_pairs_counts;

typedef struct {
    ga_pairs_finding *items;
    size_t count, cap;
    size_t by_check[GA_PAIRS_CHECKS];
    ga_arena arena;

    /* statistics */
    size_t pairs, unsafe, positives, long_prompts; /* over 20 words */
    size_t grades[4];
    size_t risks[GA_RISK_COUNT];
    ga_pairs_counts split, kind, form, lang;
    double words;             /* of a prompt, mean */
    double distinct3;         /* share of 3-word sequences that stand once */
    double guideline_overlap; /* share of a prompt's words that its first
                                 positive has, mean */
    size_t against_strings;   /* strings of benchmarks compared with */
} ga_pairs_report;

#define GA_PAIRS_REPORT_INIT ((ga_pairs_report){0})

/* Check the pairs against the guidelines and each other.
 * Cost:   ROUGE-L within a type is quadratic, a few seconds for 15,000 pairs.
 * Errors: GA_NOMEM, GA_LIMIT, or of the files that the options name. */
ga_status ga__pairs_check(const ga_pair_set *pairs, const ga_guideline *g,
                          size_t guidelines,
                          const ga_pairs_check_options *options,
                          ga_pairs_report *out, ga_error *err);
void ga__pairs_report_free(ga_pairs_report *report);

#endif
