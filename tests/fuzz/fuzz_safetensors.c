/* fuzz_safetensors.c: any bytes as a safetensors file; when it opens, all that
 * it says is there is read. */
#include <stdlib.h>

#include "encoder/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ga_safetensors st;
    ga_error err;
    if (ga__safetensors_open((ga_str){(const char *)data, size}, &st, &err))
        return 0;
    for (size_t i = 0; i < st.count; i++) {
        const ga_tensor *t = &st.tensors[i];
        char text[40], name[64];
        float values[16];
        size_t n = 1;
        ga__tensor_describe(t, text, sizeof(text));
        for (size_t d = 0; d < t->rank; d++)
            n *= (size_t)t->shape[d];
        if (n > size || t->end - t->start > size)
            abort();
        for (size_t at = 0; ga__tensor_is_float(t) && at < n; at += 16)
            ga__tensor_floats(t, at, n - at < 16 ? n - at : 16, values);
        if (t->name.len < sizeof(name) &&
            !memchr(t->name.ptr, '\0', t->name.len)) {
            memcpy(name, t->name.ptr, t->name.len);
            name[t->name.len] = '\0';
            if (ga__safetensors_find(&st, name) != t)
                abort();
        }
    }
    ga__safetensors_close(&st);
    return 0;
}
