/* surface.h: texts compared by their surface, as sequences of words.
 *
 * A word is a run of letters, marks and digits in lower case; an apostrophe
 * does not part it, and a character of a script written without spaces (Han,
 * kana, Thai) is a word by itself.  Words are 64-bit hashes, so that thousands
 * of texts are compared as numbers; their places in the text say which words
 * they were.  Knows nothing of what the texts are. */
#ifndef GA_LIBRARY_SURFACE_H
#define GA_LIBRARY_SURFACE_H

#include "base/arena.h"

typedef struct {
    uint64_t *hash;        /* [count] */
    uint32_t *start, *end; /* [count], bytes of the text */
    size_t count;
} ga_surface;

/* The words of a text, in memory of the arena.  Ill-formed bytes part words.
 * GA_LIMIT a text of 4 GiB; GA_NOMEM. */
ga_status ga__surface_of(ga_surface *out, ga_str text, ga_arena *arena,
                         ga_error *err);

/* The hash of the n words from word `at` on; at + n is at most the count. */
uint64_t ga__surface_sequence(const ga_surface *s, size_t at, size_t n);

/* The distinct sequences of n words, ascending, into out [count].  Returns how
 * many there are: none when the text is shorter. */
size_t ga__surface_sequences(const ga_surface *s, size_t n, uint64_t *out);

/* How many numbers two ascending lists without repetition share. */
size_t ga__surface_shared(const uint64_t *a, size_t na, const uint64_t *b,
                          size_t nb);

/* The first n words in a row that two texts share, as bytes of a; empty when
 * there are none. */
ga_str ga__surface_common(ga_str text, const ga_surface *a, const ga_surface *b,
                          size_t n);

/* Sets of numbers, each ascending, laid end to end: set i is
 * item[at[i] .. at[i + 1]). */
typedef struct {
    const uint64_t *item;
    const size_t *at; /* [count + 1] */
    size_t count;
} ga_surface_sets;

/* Called for each pair i < j whose sets share at least `least` (above 0, up to
 * 1) of what either holds; ends the search when it fails. */
typedef ga_status (*ga_surface_pair_fn)(void *arg, size_t i, size_t j,
                                        double jaccard, ga_error *err);

/* The same for numbers that are equal: called with neighbours i < j of each run
 * of equal ones; jaccard is 1. */
ga_status ga__surface_same(const uint64_t *numbers, size_t n,
                           ga_surface_pair_fn fn, void *arg, ga_error *err);

/* Find all such pairs, exactly, without looking at most of the others: of two
 * alike sets the rarest few members of each have one in common (prefix
 * filter: Chaudhuri, Ganti and Kaushik, 2006).  Pairs come in order. */
ga_status ga__surface_alike(const ga_surface_sets *sets, double least,
                            ga_surface_pair_fn fn, void *arg, ga_error *err);

/* The longest common subsequence of one text with many others, by the
 * bit-parallel recurrence of Crochemore et al. (2001): O(nb * na / 64) for a
 * pair, and nothing is allocated after the preparation. */
typedef struct {
    uint64_t *word;  /* [distinct], ascending */
    uint64_t *where; /* [distinct, rows], bit i: a[i] is this word */
    uint64_t *state; /* [rows] */
    size_t distinct, rows, count;
} ga_lcs;

ga_status ga__lcs_prepare(ga_lcs *l, const ga_surface *a, ga_arena *arena,
                          ga_error *err);
size_t ga__lcs_length(ga_lcs *l, const ga_surface *b);

/* ROUGE-L F of two texts (Lin, 2004): the harmonic mean of the shares that
 * their longest common subsequence has of each. */
double ga__lcs_rouge(ga_lcs *l, const ga_surface *b);

#endif
