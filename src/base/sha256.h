/* sha256.h: SHA-256 (FIPS 180-4), for the identity of packs and files. */
#ifndef GA_BASE_SHA256_H
#define GA_BASE_SHA256_H

#include "base/mem.h"

typedef struct {
    uint32_t state[8];
    uint64_t bytes;
    uint8_t block[64];
} ga_sha256;

void ga__sha256_init(ga_sha256 *h);
void ga__sha256_update(ga_sha256 *h, const void *bytes, size_t len);
void ga__sha256_final(ga_sha256 *h, uint8_t digest[32]);

/* The whole in one call. */
void ga__sha256_of(const void *bytes, size_t len, uint8_t digest[32]);

/* The first `n` bytes of a digest as 2n hex digits and a NUL. */
void ga__hex(const uint8_t *digest, size_t n, char *out);

#endif
