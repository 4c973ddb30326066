/* version.c: which library this is. */
#include "guidealign/guidealign.h"

const char *ga_version(void)
{
    return GA_VERSION;
}
