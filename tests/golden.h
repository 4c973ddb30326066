/* golden.h: a file of golden numbers, read whole. */
#ifndef GA_TESTS_GOLDEN_H
#define GA_TESTS_GOLDEN_H

#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"

typedef struct {
    ga_json doc;
    char *bytes;
} golden;

/* Fails the test when it cannot be read. */
static void golden_open(golden *g, const char *path)
{
    size_t len;
    ga_error err = {""};
    *g = (golden){0};
    if (ga__file_read(path, 8u << 20, &g->bytes, &len, &err) ||
        ga__json_parse(&g->doc, (ga_str){g->bytes, len}, &err))
        fail_msg("%s", err.msg);
}

static void golden_close(golden *g)
{
    ga__json_free(&g->doc);
    free(g->bytes);
}

#endif
