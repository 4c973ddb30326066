/* fuzz_config.c: any bytes as the files of a model folder, NUL between them,
 * and as the one object that a pack stores. */
#include <stdlib.h>

#include "base/limits.h"
#include "encoder/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read and written must be readable, but for a length that no text
 * fits in. */
static void write_and_parse(const ga_model_files *files)
{
    ga_buf object;
    ga_encoder_config c;
    ga_error err;
    ga__buf_init(&object, GA_MAX_CONFIG_BYTES);
    if (ga__model_files_write(files, &object, &err))
        abort();
    if (ga__encoder_config_parse((ga_str){object.ptr, object.len}, &c, &err)) {
        if (!strstr(err.msg, "max_tokens"))
            abort();
    } else if (c.max_tokens < 2 || c.max_tokens > c.positions ||
               c.hidden % c.heads != 0) {
        abort();
    }
    ga__buf_free(&object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *end = text + size;
    ga_model_files files;
    ga_encoder_config c;
    ga_error err;
    bool ok = true;
    (void)ga__encoder_config_parse((ga_str){text, size}, &c, &err);
    ga__model_files_init(&files);
    for (int i = 0; i < GA_FILE_COUNT && ok && text < end; i++) {
        const char *nul = memchr(text, '\0', (size_t)(end - text));
        const char *stop = nul ? nul : end;
        ok = ga__model_files_read(&files, (ga_model_file)i,
                                  (ga_str){text, (size_t)(stop - text)},
                                  &err) == GA_OK;
        text = nul ? nul + 1 : end;
    }
    if (ok && size > 0)
        write_and_parse(&files);
    return 0;
}
