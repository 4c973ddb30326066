/* test_threads.c: every piece once, whoever takes it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/threads.h"

enum { MOST_PIECES = 3000 };

typedef struct {
    unsigned threads;
    size_t pieces;
    atomic_uint times[MOST_PIECES];
    atomic_bool busy[GA_MAX_THREADS]; /* this number is at work */
    atomic_uint wrong;                /* cmocka must not fail in a thread */
    unsigned char plain[MOST_PIECES]; /* written by the workers, unlocked */
} run_state;

static void work(void *arg, size_t piece, unsigned thread)
{
    run_state *s = arg;
    if (piece >= s->pieces || thread >= s->threads) {
        atomic_fetch_add(&s->wrong, 1);
        return;
    }
    if (atomic_exchange(&s->busy[thread], true))
        atomic_fetch_add(&s->wrong, 1);
    atomic_fetch_add(&s->times[piece], 1);
    s->plain[piece]++;
    atomic_store(&s->busy[thread], false);
}

static void check_run(ga_pool *pool, run_state *s, size_t pieces)
{
    memset(s, 0, sizeof(*s));
    s->threads = ga__pool_threads(pool);
    s->pieces = pieces;
    ga__pool_run(pool, pieces, work, s);
    assert_int_equal(atomic_load(&s->wrong), 0);
    for (size_t i = 0; i < MOST_PIECES; i++) {
        unsigned expected = i < pieces;
        if (atomic_load(&s->times[i]) != expected || s->plain[i] != expected)
            fail_msg("piece %zu of %zu: %u times", i, pieces,
                     atomic_load(&s->times[i]));
    }
}

static void test_every_piece_once(void **state)
{
    (void)state;
    static const unsigned threads[] = {1, 2, 3, 4, 8, 17};
    static const size_t pieces[] = {0, 1, 2, 3, 4, 7, 8, 9, 100, MOST_PIECES};
    static run_state s;
    for (size_t t = 0; t < sizeof(threads) / sizeof(*threads); t++) {
        ga_pool *pool;
        assert_int_equal(ga__pool_new(threads[t], &pool, NULL), GA_OK);
        assert_int_equal(ga__pool_threads(pool), threads[t]);
        for (size_t p = 0; p < sizeof(pieces) / sizeof(*pieces); p++)
            check_run(pool, &s, pieces[p]);
        ga__pool_free(pool);
    }
}

static void add(void *arg, size_t piece, unsigned thread)
{
    (void)thread;
    atomic_fetch_add((atomic_size_t *)arg, piece + 1);
}

/* Short runs, one behind the other: no worker of a run is left for the next. */
static void test_many_runs(void **state)
{
    (void)state;
    ga_pool *pool;
    assert_int_equal(ga__pool_new(4, &pool, NULL), GA_OK);
    for (size_t round = 0; round < 3000; round++) {
        atomic_size_t sum = 0;
        size_t pieces = round % 9;
        ga__pool_run(pool, pieces, add, &sum);
        assert_int_equal(atomic_load(&sum), pieces * (pieces + 1) / 2);
    }
    ga__pool_free(pool);
}

static void note_thread(void *arg, size_t piece, unsigned thread)
{
    (void)piece;
    atomic_fetch_or((atomic_uint *)arg, 1u << thread);
}

static void test_one_thread_is_the_caller(void **state)
{
    (void)state;
    ga_pool *pool;
    atomic_uint seen = 0;
    assert_int_equal(ga__pool_new(1, &pool, NULL), GA_OK);
    ga__pool_run(pool, 100, note_thread, &seen);
    assert_int_equal(atomic_load(&seen), 1);
    ga__pool_free(pool);
}

/* All pieces wait for each other, so each needs a thread of its own. */
typedef struct {
    pthread_barrier_t barrier;
    atomic_uint seen;
} meeting;

static void meet(void *arg, size_t piece, unsigned thread)
{
    meeting *m = arg;
    (void)piece;
    atomic_fetch_or(&m->seen, 1u << thread);
    pthread_barrier_wait(&m->barrier);
}

static void test_all_threads_work_at_once(void **state)
{
    (void)state;
    ga_pool *pool;
    meeting m = {.seen = 0};
    assert_int_equal(ga__pool_new(6, &pool, NULL), GA_OK);
    assert_int_equal(pthread_barrier_init(&m.barrier, NULL, 6), 0);
    for (int round = 0; round < 20; round++) {
        atomic_store(&m.seen, 0);
        ga__pool_run(pool, 6, meet, &m);
        assert_int_equal(atomic_load(&m.seen), 0x3F);
    }
    pthread_barrier_destroy(&m.barrier);
    ga__pool_free(pool);
}

static void test_bad_counts(void **state)
{
    (void)state;
    ga_pool *pool = (ga_pool *)&pool;
    ga_error err = {""};
    assert_int_equal(ga__pool_new(0, &pool, &err), GA_INVAL);
    assert_null(pool);
    assert_string_equal(err.msg, "0 threads: 1 to 256 are possible");
    assert_int_equal(ga__pool_new(GA_MAX_THREADS + 1, &pool, NULL), GA_INVAL);
    assert_null(pool);
    ga__pool_free(NULL);
}

static void test_pools_without_work(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 32; i++) {
        ga_pool *pool;
        assert_int_equal(ga__pool_new(i, &pool, NULL), GA_OK);
        ga__pool_free(pool);
    }
    ga_pool *most;
    assert_int_equal(ga__pool_new(GA_MAX_THREADS, &most, NULL), GA_OK);
    static run_state s;
    check_run(most, &s, 1000);
    ga__pool_free(most);
}

typedef struct {
    pthread_barrier_t barrier;
    sigset_t masks[2];
} mask_state;

static void note_mask(void *arg, size_t piece, unsigned thread)
{
    mask_state *m = arg;
    (void)piece;
    pthread_sigmask(SIG_SETMASK, NULL, &m->masks[thread]);
    pthread_barrier_wait(&m->barrier); /* so that both threads come by */
}

/* Signals are for the program's own threads. */
static void test_workers_take_no_signals(void **state)
{
    (void)state;
    ga_pool *pool;
    sigset_t before, after;
    mask_state m;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(ga__pool_new(2, &pool, NULL), GA_OK);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int s = 1; s < 32; s++)
        assert_int_equal(sigismember(&before, s), sigismember(&after, s));
    assert_int_equal(pthread_barrier_init(&m.barrier, NULL, 2), 0);
    ga__pool_run(pool, 2, note_mask, &m);
    pthread_barrier_destroy(&m.barrier);
    ga__pool_free(pool);
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGALRM};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        assert_int_equal(sigismember(&m.masks[1], numbers[i]), 1);
        assert_int_equal(sigismember(&m.masks[0], numbers[i]),
                         sigismember(&before, numbers[i]));
    }
}

static void test_cpu_count(void **state)
{
    (void)state;
    assert_in_range(ga__cpu_count(), 1, GA_MAX_THREADS);
}

/* Between two waits every thread may read what all wrote before the first. */
typedef struct {
    ga_barrier barrier;
    unsigned threads;
    unsigned said[17]; /* plain: the barrier is what orders them */
    atomic_uint wrong;
} barrier_state;

static void wait_often(void *arg, size_t piece, unsigned thread)
{
    enum { TURNS = 500 };
    barrier_state *s = arg;
    (void)thread;
    for (unsigned turn = 1; turn <= TURNS; turn++) {
        s->said[piece] = turn;
        ga__barrier_wait(&s->barrier);
        for (unsigned i = 0; i < s->threads; i++) {
            if (s->said[i] != turn)
                atomic_fetch_add(&s->wrong, 1);
        }
        ga__barrier_wait(&s->barrier);
    }
}

static void test_barrier(void **state)
{
    static const unsigned threads[] = {1, 2, 3, 17};
    (void)state;
    for (size_t i = 0; i < sizeof(threads) / sizeof(*threads); i++) {
        ga_pool *pool;
        barrier_state s = {.threads = threads[i]};
        assert_int_equal(ga__pool_new(threads[i], &pool, NULL), GA_OK);
        ga__barrier_init(&s.barrier, threads[i]);
        ga__pool_run(pool, threads[i], wait_often, &s);
        assert_int_equal(atomic_load(&s.wrong), 0);
        ga__pool_free(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_piece_once),
        cmocka_unit_test(test_barrier),
        cmocka_unit_test(test_many_runs),
        cmocka_unit_test(test_one_thread_is_the_caller),
        cmocka_unit_test(test_all_threads_work_at_once),
        cmocka_unit_test(test_bad_counts),
        cmocka_unit_test(test_pools_without_work),
        cmocka_unit_test(test_workers_take_no_signals),
        cmocka_unit_test(test_cpu_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
