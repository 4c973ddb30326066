/* arena.c: memory of one call, released all at once. */
#include "base/arena.h"

#include <stdlib.h>

enum { ALIGN = 64, FIRST_BLOCK = 1 << 16 };

struct ga_arena_block {
    struct ga_arena_block *older;
    size_t size; /* bytes behind this header, which fills one ALIGN unit */
};

static char *payload(struct ga_arena_block *block)
{
    return (char *)block + ALIGN;
}

static bool push_block(ga_arena *a, size_t size)
{
    struct ga_arena_block *block;
    size_t bytes;
    if (!ga__add_size(size, ALIGN, &bytes))
        return false;
    block = ga__alloc_aligned(bytes, 1);
    if (!block)
        return false;
    block->older = a->head;
    block->size = size;
    a->head = block;
    a->used = 0;
    a->total += size;
    return true;
}

void *ga__arena_alloc(ga_arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (!ga__mul_size(n, size, &bytes) ||
        !ga__add_size(bytes, ALIGN - 1, &bytes))
        return NULL;
    bytes &= ~(size_t)(ALIGN - 1);
    if (!a->head || a->head->size - a->used < bytes) {
        size_t want = a->total > FIRST_BLOCK ? a->total : FIRST_BLOCK;
        if (!push_block(a, bytes > want ? bytes : want))
            return NULL;
    }
    void *out = payload(a->head) + a->used;
    a->used += bytes;
    return out;
}

static void free_blocks(struct ga_arena_block *block)
{
    while (block) {
        struct ga_arena_block *older = block->older;
        free(block);
        block = older;
    }
}

void ga__arena_reset(ga_arena *a)
{
    a->used = 0;
    if (!a->head || !a->head->older)
        return;
    /* several blocks: next time one of their size serves the same call.  When
     * that cannot be had the newest, which is the largest, stays. */
    size_t total = a->total;
    free_blocks(a->head->older);
    a->head->older = NULL;
    a->total = a->head->size;
    struct ga_arena_block *kept = a->head;
    if (push_block(a, total)) {
        free(kept);
        a->head->older = NULL;
        a->total = total;
    }
}

void ga__arena_free(ga_arena *a)
{
    free_blocks(a->head);
    *a = GA_ARENA_INIT;
}
