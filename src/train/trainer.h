/* trainer.h: prototype training of a retriever, step by step.
 *
 * A step draws guidelines and their nearest neighbours, of each a few prompts
 * that ask and a few that support; see prototype.h for the loss.  With no
 * supports and one query it is the training by pairs of DPR (Karpukhin et al.,
 * 2020).  What is drawn depends on the seed and the step alone. */
#ifndef GA_TRAIN_TRAINER_H
#define GA_TRAIN_TRAINER_H

#include "train/corpus.h"
#include "train/metrics.h"
#include "train/net.h"

typedef struct {
    uint64_t steps;
    unsigned guidelines; /* of a step; 32 */
    unsigned neighbours; /* of them, for each one drawn; 1 */
    unsigned queries;    /* of a guideline; 2 */
    unsigned supports;   /* at most; 4 */
    float text_weight;   /* the text counts as so many supports; 2 */
    float scale;         /* 1 / temperature; 20 */
    float similar;       /* cosine from which on two say the same; 0.9 */
    float rate, warmup;  /* the highest, and the share of steps up to it */
    bool cosine;         /* down by a cosine, else straight */
    float decay, clip;
    uint64_t seed;
    uint64_t measure_every; /* steps; 0: never */
    unsigned patience;      /* measurements without a better one; 0: no end */
    unsigned triggers;      /* of a guideline that is measured; 4 */
    unsigned k;             /* measured at; 6 */
    const char *checkpoint; /* file to go on from after a kill; or NULL */
    uint64_t checkpoint_every; /* steps; 50 */
} ga_train_options;

void ga__train_options_init(ga_train_options *options);

/* The dev pairs by the net as it is. */
typedef struct {
    ga_metrics with_triggers, by_text;
    double likeness; /* mean cosine of prompts: near 1 all are the same */
} ga_train_measure;

typedef struct {
    uint64_t step;
    double loss, right, rate, norm; /* of the step; 0 in front of the first */
    size_t texts, tokens;
    double seconds;
    const ga_train_measure *measure; /* NULL when none was made */
    bool best;                       /* the best measure so far */
} ga_train_event;

/* Train the net and leave in it the parameters that measured best (nDCG with
 * triggers), or the last ones where nothing is measured.  `report` is called
 * after each step; false ends the training there.  Where the checkpoint is
 * there it goes on from it, to the same bits as without the interruption.
 * Errors: GA_INVAL options that make no sense; GA_FORMAT a checkpoint of
 * something else; GA_IO; GA_NOMEM. */
ga_status ga__train(ga_net *net, const ga_corpus *corpus,
                    const ga_train_options *options,
                    bool (*report)(void *arg, const ga_train_event *event),
                    void *arg, ga_error *err);

#endif
