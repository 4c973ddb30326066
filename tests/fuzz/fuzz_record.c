/* fuzz_record.c: one line of a library.  What is accepted is written in a form
 * that is read back as the same record, down to the bytes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "library/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void write_json(const ga_record *r, bool pretty, ga_buf *out)
{
    ga_error err = {""};
    ga__buf_clear(out);
    require((pretty ? ga__guideline_json_pretty
                    : ga__guideline_json)(&r->guideline, out, &err) == GA_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ga_record r = GA_RECORD_INIT, again = GA_RECORD_INIT;
    ga_buf first, second, pretty;
    ga_error err = {""};
    ga__buf_init(&first, GA_MAX_LINE_BYTES);
    ga__buf_init(&second, GA_MAX_LINE_BYTES);
    ga__buf_init(&pretty, 2 * (size_t)GA_MAX_LINE_BYTES);
    char *copy = malloc(size ? size : 1);
    require(copy != NULL);
    memcpy(copy, data, size);
    ga_status rc = ga__record_parse(&r, (ga_str){copy, size}, &err);
    free(copy);
    require(rc == GA_OK || (err.msg[0] != '\0' && r.guideline.text.len == 0));
    if (rc == GA_OK) {
        require(ga__guideline_check(&r.guideline, &err) == GA_OK);
        write_json(&r, false, &first);
        require(!memchr(first.ptr, '\n', first.len));
        require(ga__record_parse(&again, (ga_str){first.ptr, first.len},
                                 &err) == GA_OK);
        write_json(&again, false, &second);
        require(ga__str_equal((ga_str){first.ptr, first.len},
                              (ga_str){second.ptr, second.len}));
        write_json(&r, true, &pretty);
        require(ga__record_parse(&again, (ga_str){pretty.ptr, pretty.len},
                                 &err) == GA_OK);
        write_json(&again, false, &second);
        require(ga__str_equal((ga_str){first.ptr, first.len},
                              (ga_str){second.ptr, second.len}));
    }
    ga__buf_free(&pretty);
    ga__buf_free(&second);
    ga__buf_free(&first);
    ga__record_free(&again);
    ga__record_free(&r);
    return 0;
}
