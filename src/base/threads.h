/* threads.h: one pool of workers that share out numbered pieces of work. */
#ifndef GA_BASE_THREADS_H
#define GA_BASE_THREADS_H

#include <stdatomic.h>

#include "base/mem.h"

typedef struct ga_pool ga_pool;

/* A pool that works with `threads` threads, the calling one included: 1 starts
 * none.  GA_INVAL for 0 or more than GA_MAX_THREADS. */
ga_status ga__pool_new(unsigned threads, ga_pool **out, ga_error *err);
void ga__pool_free(ga_pool *pool);
unsigned ga__pool_threads(const ga_pool *pool);

/* Call work(arg, piece, thread) for every piece of 0..pieces-1, in any order,
 * thread being 0..threads-1 and never used twice at a time; return when all
 * are done.  One run at a time. */
void ga__pool_run(ga_pool *pool, size_t pieces,
                  void (*work)(void *arg, size_t piece, unsigned thread),
                  void *arg);

/* Where the threads of one run wait for each other, over and over: a run of as
 * many pieces as the pool has threads, each of which waits equally often.  They
 * spin, since the next step is microseconds away, but not on a busy machine. */
typedef struct {
    unsigned threads;
    atomic_uint arrived, round;
} ga_barrier;

void ga__barrier_init(ga_barrier *b, unsigned threads);
void ga__barrier_wait(ga_barrier *b);

/* Processors this process may use, at least 1. */
unsigned ga__cpu_count(void);

#endif
