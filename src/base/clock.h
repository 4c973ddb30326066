/* clock.h: how long something takes. */
#ifndef GA_BASE_CLOCK_H
#define GA_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds since some moment in the past; never goes back. */
static inline uint64_t ga__now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The same in seconds. */
static inline double ga__now_s(void)
{
    return (double)ga__now_ns() / 1e9;
}

#endif
