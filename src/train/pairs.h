/* pairs.h: prompts with the guidelines that apply to them, to train a
 * retriever by and to measure it.
 *
 * JSON Lines, one object a line, see docs/formats.md.  Reading is strict: a
 * misspelled key is an error that names the line, never a pair that says less
 * than its author thought. */
#ifndef GA_TRAIN_PAIRS_H
#define GA_TRAIN_PAIRS_H

#include "base/arena.h"
#include "base/guideline.h"

typedef struct {
    ga_str id; /* "" when not given */
    ga_str prompt;
    ga_str_list positives; /* ids of guidelines, the most needed first */
    const uint8_t *grades; /* of the positives: 3 must, 2 should, 1 helps */
    ga_str_list negatives; /* look as if they applied, and do not */
    ga_str_list risks;
    bool unsafe;
    ga_str kind; /* pair, lookalike, ordinary */
    ga_str form; /* short, long, context, pasted, turns, scenario */
    ga_str lang; /* ISO 639 */
    ga_str cluster, split;
    const char *file; /* where it stands */
    size_t line;
} ga_pair;

typedef struct {
    ga_pair *items;
    size_t count, cap;
    ga_arena arena; /* of their strings */
} ga_pair_set;

#define GA_PAIR_SET_INIT ((ga_pair_set){0})

/* Add the pairs of a file.  "prompt" is required; without grades every
 * positive has 3.  GA_FORMAT, GA_INVAL or GA_LIMIT with file and line. */
ga_status ga__pairs_read(const char *path, ga_pair_set *out, ga_error *err);
void ga__pairs_free(ga_pair_set *set);

/* Call visit with the id of each guideline of a file of lines {"id","split"}:
 * those that training must not meet.  Ends with the first failure, which names
 * the line. */
ga_status ga__held_out_read(const char *path,
                            ga_status (*visit)(void *arg, ga_str id,
                                               ga_error *err),
                            void *arg, ga_error *err);

/* Is it for training?  Everything else is held out. */
bool ga__pair_trains(const ga_pair *p);

#endif
