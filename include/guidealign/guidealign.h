/* guidealign/guidealign.h: the whole interface. */
#ifndef GUIDEALIGN_GUIDEALIGN_H
#define GUIDEALIGN_GUIDEALIGN_H

#include "guidealign/encoder.h"
#include "guidealign/guide.h"
#include "guidealign/pack.h"
#include "guidealign/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0": of the library that is linked, which may differ from the header. */
const char *ga_version(void);

#ifdef __cplusplus
}
#endif

#endif
