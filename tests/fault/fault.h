/* fault.h: an allocator that fails when it is told to.
 *
 * For programs linked with --wrap=malloc,calloc,realloc,aligned_alloc, one
 * translation unit each.  Usage:
 *
 *     for (long n = 0;; n++) {
 *         fault_arm(n, false);
 *         ga_status rc = work();
 *         if (!fault_disarm())
 *             break;               // work() got through; rc must be GA_OK
 *         assert rc is GA_NOMEM and nothing leaked
 *     }
 *
 * Allocations inside shared libraries are not counted. */
#ifndef GA_TESTS_FAULT_H
#define GA_TESTS_FAULT_H

#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static long fault_left = -1;        /* allocations until one fails; -1: none */
static bool fault_stays, fault_hit; /* all behind it fail too; one has failed */

/* Let the nth allocation from here fail, from 0; and, when it stays, all
 * behind it.  One thread only. */
static inline void fault_arm(long n, bool stays)
{
    fault_left = n;
    fault_stays = stays;
    fault_hit = false;
}

/* Allocate as usual again.  Has an allocation failed? */
static inline bool fault_disarm(void)
{
    fault_left = -1;
    return fault_hit;
}

static inline bool fault_now(void)
{
    if (fault_left < 0)
        return false;
    if (fault_left > 0) {
        fault_left--;
        return false;
    }
    if (!fault_stays)
        fault_left = -1;
    fault_hit = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fault_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fault_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fault_now() ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fault_now() ? NULL : __real_aligned_alloc(alignment, size);
}

#endif
