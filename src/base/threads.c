/* threads.c: one pool of workers that share out numbered pieces of work. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"

typedef struct {
    ga_pool *pool;
    unsigned thread;
    pthread_t handle;
} worker;

struct ga_pool {
    pthread_mutex_t lock;
    pthread_cond_t start, done;
    uint64_t round; /* counts the runs; a new one wakes the workers */
    unsigned busy;  /* workers still in this round */
    bool stop;
    size_t pieces;
    atomic_size_t next;
    void (*work)(void *arg, size_t piece, unsigned thread);
    void *arg;
    unsigned started; /* of the workers */
    unsigned threads; /* with the caller's */
    worker workers[];
};

static void take_pieces(ga_pool *pool, unsigned thread)
{
    size_t piece;
    while ((piece = atomic_fetch_add(&pool->next, 1)) < pool->pieces)
        pool->work(pool->arg, piece, thread);
}

static void *worker_main(void *arg)
{
    worker *w = arg;
    ga_pool *pool = w->pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->round == seen && !pool->stop)
            pthread_cond_wait(&pool->start, &pool->lock);
        if (pool->stop)
            break;
        seen = pool->round;
        pthread_mutex_unlock(&pool->lock);
        take_pieces(pool, w->thread);
        pthread_mutex_lock(&pool->lock);
        if (--pool->busy == 0)
            pthread_cond_signal(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

ga_status ga__pool_new(unsigned threads, ga_pool **out, ga_error *err)
{
    *out = NULL;
    if (threads == 0 || threads > GA_MAX_THREADS)
        return ga__fail(err, GA_INVAL, "%u threads: 1 to %u are possible",
                        threads, GA_MAX_THREADS);
    ga_pool *pool = ga__calloc(1, sizeof(*pool) + threads * sizeof(worker));
    if (!pool)
        return ga__fail_nomem(err, sizeof(*pool));
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->start, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->threads = threads;
    /* signals belong to the program's own threads */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (unsigned i = 1; i < threads; i++) {
        worker *w = &pool->workers[i];
        *w = (worker){.pool = pool, .thread = i};
        if (pthread_create(&w->handle, NULL, worker_main, w))
            break;
        pool->started++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (pool->started + 1 < threads) {
        ga_status rc = ga__fail(err, GA_NOMEM, "cannot start thread %u of %u",
                                pool->started + 1, threads);
        ga__pool_free(pool);
        return rc;
    }
    *out = pool;
    return GA_OK;
}

void ga__pool_free(ga_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 1; i <= pool->started; i++)
        pthread_join(pool->workers[i].handle, NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->start);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

unsigned ga__pool_threads(const ga_pool *pool)
{
    return pool->threads;
}

void ga__pool_run(ga_pool *pool, size_t pieces,
                  void (*work)(void *arg, size_t piece, unsigned thread),
                  void *arg)
{
    pool->work = work;
    pool->arg = arg;
    pool->pieces = pieces;
    atomic_store(&pool->next, 0);
    bool share = pieces > 1 && pool->threads > 1;
    if (share) {
        pthread_mutex_lock(&pool->lock);
        pool->busy = pool->threads - 1;
        pool->round++;
        pthread_cond_broadcast(&pool->start);
        pthread_mutex_unlock(&pool->lock);
    }
    take_pieces(pool, 0);
    if (share) {
        pthread_mutex_lock(&pool->lock);
        while (pool->busy > 0)
            pthread_cond_wait(&pool->done, &pool->lock);
        pthread_mutex_unlock(&pool->lock);
    }
}

void ga__barrier_init(ga_barrier *b, unsigned threads)
{
    b->threads = threads;
    atomic_init(&b->arrived, 0);
    atomic_init(&b->round, 0);
}

void ga__barrier_wait(ga_barrier *b)
{
    enum { SPINS = 4000 }; /* tens of microseconds */
    if (b->threads == 1)
        return;
    unsigned round = atomic_load(&b->round);
    if (atomic_fetch_add(&b->arrived, 1) + 1 == b->threads) {
        atomic_store(&b->arrived, 0);
        atomic_fetch_add(&b->round, 1);
        return;
    }
    for (unsigned i = 0; atomic_load(&b->round) == round; i++) {
        if (i >= SPINS)
            sched_yield();
#if defined(__x86_64__)
        else
            __builtin_ia32_pause();
#endif
    }
}

unsigned ga__cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set))
        return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n > (int)GA_MAX_THREADS ? GA_MAX_THREADS : (unsigned)n;
}
