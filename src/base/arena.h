/* arena.h: memory of one call, released all at once.
 *
 * A scratch keeps its arena from call to call: the first calls grow it, and
 * from then on a call allocates nothing. */
#ifndef GA_BASE_ARENA_H
#define GA_BASE_ARENA_H

#include "base/mem.h"

struct ga_arena_block;

typedef struct {
    struct ga_arena_block *head; /* the block in use; older ones behind it */
    size_t used;                 /* bytes of the head in use */
    size_t total;                /* bytes of all blocks */
} ga_arena;

#define GA_ARENA_INIT ((ga_arena){0})

/* n elements, aligned to 64 bytes and not zeroed; NULL when memory is out. */
void *ga__arena_alloc(ga_arena *a, size_t n, size_t size);

/* Forget everything allocated and keep one block that would have held it. */
void ga__arena_reset(ga_arena *a);

void ga__arena_free(ga_arena *a);

#endif
