/* test_safetensors.c: what a safetensors file may be, and everything that it
 * may not. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "encoder/safetensors.h"

/* A file of this header and n bytes of data, in memory of exactly its size so
 * that a sanitizer sees every byte too far. */
static ga_str file_of(const char *header, size_t n)
{
    size_t len = strlen(header);
    char *p = malloc(8 + len + n);
    assert_non_null(p);
    for (size_t i = 0; i < 8; i++)
        p[i] = (char)(unsigned char)((uint64_t)len >> 8 * i);
    memcpy(p + 8, header, len);
    for (size_t i = 0; i < n; i++)
        p[8 + len + i] = (char)i;
    return (ga_str){p, 8 + len + n};
}

static void drop(ga_str file)
{
    free((void *)(uintptr_t)file.ptr);
}

/* The header with n bytes of data fails with this status, and the message
 * holds this. */
static void expect(const char *header, size_t n, ga_status status,
                   const char *message)
{
    ga_safetensors st;
    ga_error err = {""};
    ga_str file = file_of(header, n);
    ga_status rc = ga__safetensors_open(file, &st, &err);
    if (rc != status || (rc && !strstr(err.msg, message)))
        fail_msg("%s: status %d, %s", header, (int)rc, err.msg);
    if (!rc)
        ga__safetensors_close(&st);
    drop(file);
}

#define TWO                                                                    \
    "{\"__metadata__\":{\"format\":\"pt\"},"                                   \
    "\"b\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[8,20]},"       \
    "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}   "

static void test_reads(void **state)
{
    ga_safetensors st;
    ga_error err;
    char text[64];
    ga_str file = file_of(TWO, 20);
    (void)state;
    assert_int_equal(ga__safetensors_open(file, &st, &err), GA_OK);
    assert_int_equal(st.count, 2);
    const ga_tensor *a = ga__safetensors_find(&st, "a");
    const ga_tensor *b = ga__safetensors_find(&st, "b");
    assert_non_null(a);
    assert_non_null(b);
    assert_null(ga__safetensors_find(&st, "c"));
    assert_null(ga__safetensors_find(&st, "__metadata__"));
    assert_ptr_equal(a->data, file.ptr + file.len - 20);
    assert_ptr_equal(b->data, file.ptr + file.len - 12);
    assert_int_equal(b->rank, 2);
    assert_int_equal(b->shape[1], 3);
    ga__tensor_describe(b, text, sizeof(text));
    assert_string_equal(text, "F16 [2, 3]");
    ga__tensor_describe(b, text, 8); /* cut, and no byte behind */
    assert_string_equal(text, "F16 [2,");
    ga__safetensors_close(&st);
    drop(file);
}

static void test_empty_models(void **state)
{
    (void)state;
    expect("{}", 0, GA_OK, "");
    expect("{}", 5, GA_OK, "");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[0,7],"
           "\"data_offsets\":[0,0]},\"b\":{\"dtype\":\"U8\",\"shape\":[],"
           "\"data_offsets\":[0,1]}}",
           1, GA_OK, "");
    /* an empty one between two others hides no overlap, and makes none */
    expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
           "\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[4,4]}}",
           8, GA_OK, "");
}

static void test_refuses(void **state)
{
    (void)state;
    expect("[]", 0, GA_FORMAT, "no JSON object");
    expect("{\"a\":1}", 0, GA_FORMAT, "'a': \"dtype\" is missing");
    expect("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, GA_FORMAT,
           "\"shape\" is missing");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, GA_FORMAT,
           "\"data_offsets\" is missing");
    expect("{\"a\":{\"dtype\":\"F4\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
           GA_UNSUPPORTED, "unknown type");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}",
           8, GA_FORMAT, "the shape needs 4 bytes, the data has 8");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
           7, GA_FORMAT, "behind the end of the file");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,4]}}",
           8, GA_FORMAT, "no range");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}",
           8, GA_FORMAT, "no range");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 8,
           GA_FORMAT, "\"data_offsets\" is missing");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],"
           "\"data_offsets\":[0,6]}}",
           8, GA_FORMAT, "no size");
    expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],"
           "\"data_offsets\":[0,1]}}",
           1, GA_UNSUPPORTED, "more than 8 dimensions");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],"
           "\"data_offsets\":[0,0]}}",
           8, GA_FORMAT, "overflows");
    expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[18446744073709551615],"
           "\"data_offsets\":[1,18446744073709551615]}}",
           8, GA_FORMAT, "behind the end");
    expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
           "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[3,7]}}",
           8, GA_FORMAT, "'b': its data overlaps");
    expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
           "\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[4,4]},"
           "\"c\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[6,8]}}",
           8, GA_FORMAT, "'c': its data overlaps");
    expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
           "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
           8, GA_FORMAT, "'a': is there twice");
    expect("{\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[1],"
           "\"data_offsets\":[0,1]}}",
           8, GA_UNSUPPORTED, "an escape");
    expect("{", 0, GA_FORMAT, "header: malformed JSON");
}

/* A name of any length fits into the message, cut between characters. */
static void test_long_name(void **state)
{
    char header[4096], name[3000] = "";
    (void)state;
    for (size_t i = 0; i + 3 < sizeof(name); i += 2)
        strcpy(name + i, "\xC3\xA4");
    snprintf(header, sizeof(header), "{\"%s\":{}}", name);
    expect(header, 0, GA_FORMAT, "\xC3\xA4': \"dtype\" is missing");
}

static void test_header_length(void **state)
{
    static const char zeros[64] = {0};
    ga_safetensors st;
    ga_error err;
    char bytes[64];
    (void)state;
    for (size_t n = 0; n < 8; n++)
        assert_int_equal(ga__safetensors_open((ga_str){zeros, n}, &st, &err),
                         GA_FORMAT);
    assert_int_equal(ga__safetensors_open((ga_str){zeros, 64}, &st, &err),
                     GA_FORMAT);
    for (int bit = 6; bit < 64; bit++) {
        memset(bytes, 0, sizeof(bytes));
        bytes[bit / 8] = (char)(1u << bit % 8);
        assert_int_equal(ga__safetensors_open((ga_str){bytes, 64}, &st, &err),
                         GA_FORMAT);
    }
    size_t huge = GA_MAX_TENSOR_HEADER + 64;
    char *big = calloc(1, huge);
    assert_non_null(big);
    big[0] = 1;
    big[3] = (char)(GA_MAX_TENSOR_HEADER >> 24);
    big[2] = (char)(GA_MAX_TENSOR_HEADER >> 16);
    assert_int_equal(ga__safetensors_open((ga_str){big, huge}, &st, &err),
                     GA_LIMIT);
    free(big);
}

static void test_too_many_tensors(void **state)
{
    enum { ROW = 96, COUNT = GA_MAX_TENSORS + 1 };
    char *header = malloc(ROW * COUNT);
    size_t n = 0;
    (void)state;
    assert_non_null(header);
    for (unsigned i = 0; i < COUNT; i++)
        n += (size_t)snprintf(header + n, ROW,
                              "%c\"t%u\":{\"dtype\":\"U8\",\"shape\":[0],"
                              "\"data_offsets\":[0,0]}",
                              i ? ',' : '{', i);
    strcpy(header + n, "}");
    expect(header, 0, GA_LIMIT, "tensors");
    free(header);
}

/* Cut anywhere, and with any bit of the header turned: an answer, and when it
 * is yes every byte of every tensor is there. */
static void open_and_read(ga_str file)
{
    ga_safetensors st;
    ga_error err;
    float values[64];
    if (ga__safetensors_open(file, &st, &err))
        return;
    for (size_t i = 0; i < st.count; i++) {
        const ga_tensor *t = &st.tensors[i];
        uint64_t n = 1;
        for (size_t d = 0; d < t->rank; d++)
            n *= t->shape[d];
        assert_true(n <= file.len);
        if (ga__tensor_is_float(t) && n <= 64)
            ga__tensor_floats(t, 0, (size_t)n, values);
    }
    ga__safetensors_close(&st);
}

static void test_damage(void **state)
{
    ga_str file = file_of(TWO, 20);
    (void)state;
    for (size_t n = 0; n < file.len; n++) {
        char *cut = malloc(n ? n : 1);
        ga_safetensors st;
        ga_error err;
        assert_non_null(cut);
        memcpy(cut, file.ptr, n);
        assert_int_equal(ga__safetensors_open((ga_str){cut, n}, &st, &err),
                         GA_FORMAT);
        free(cut);
    }
    char *bytes = (char *)(uintptr_t)file.ptr;
    for (size_t bit = 0; bit < (file.len - 20) * 8; bit++) {
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
        open_and_read(file);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
    }
    drop(file);
}

static float half(uint16_t bits, ga_dtype dtype)
{
    uint8_t bytes[3] = {0, (uint8_t)bits, (uint8_t)(bits >> 8)};
    float out;
    ga_tensor t = {.dtype = dtype, .data = bytes + 1}; /* aligned to nothing */
    ga__tensor_floats(&t, 0, 1, &out);
    return out;
}

static void test_conversion(void **state)
{
    (void)state;
    assert_true(half(0x3C00, GA_DTYPE_F16) == 1.0f);
    assert_true(half(0xC000, GA_DTYPE_F16) == -2.0f);
    assert_true(half(0x7BFF, GA_DTYPE_F16) == 65504.0f);
    assert_true(half(0x0400, GA_DTYPE_F16) == 0x1p-14f);
    assert_true(half(0x0001, GA_DTYPE_F16) == 0x1p-24f);
    assert_true(half(0x83FF, GA_DTYPE_F16) == -1023 * 0x1p-24f);
    assert_true(half(0x3555, GA_DTYPE_F16) == 0x1.554p-2f);
    assert_true(half(0x0000, GA_DTYPE_F16) == 0.0f);
    assert_true(signbit(half(0x8000, GA_DTYPE_F16)));
    assert_true(half(0x7C00, GA_DTYPE_F16) == INFINITY);
    assert_true(half(0xFC00, GA_DTYPE_F16) == -INFINITY);
    assert_true(isnan(half(0x7E01, GA_DTYPE_F16)));
    assert_true(half(0x3F80, GA_DTYPE_BF16) == 1.0f);
    assert_true(half(0xC049, GA_DTYPE_BF16) == -3.140625f);
    assert_true(half(0x7F80, GA_DTYPE_BF16) == INFINITY);
    assert_true(half(0x0001, GA_DTYPE_BF16) == 0x1p-133f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_empty_models),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_header_length),
        cmocka_unit_test(test_too_many_tensors),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_conversion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
