/* tiny_pack.h: a small library, a pack made of it with the model of
 * tiny_bert.h, and packs taken apart and put together again with the digests
 * that belong to what they then hold. */
#ifndef GA_TESTS_TINY_PACK_H
#define GA_TESTS_TINY_PACK_H

#include "base/sha256.h"
#include "guidealign/pack.h"
#include "pack/format.h"
#include "pack/writer.h"
#include "tiny_bert.h"

#define TINY_S(text)                                                           \
    {                                                                          \
        "" text, sizeof(text) - 1                                              \
    }
#define TINY_LIST(...)                                                         \
    {                                                                          \
        (const ga_str[]){__VA_ARGS__},                                         \
            sizeof((const ga_str[]){__VA_ARGS__}) / sizeof(ga_str)             \
    }

/* Not in the order of their ids, and only 12 are approved: "mat" and "mat-too"
 * say the same, "over" has a scope, "b" neither title nor triggers. */
enum { TINY_GUIDELINES = 14, TINY_APPROVED = 12 };
static const ga_guideline tiny_guidelines[TINY_GUIDELINES] = {
    {.id = TINY_S("run"),
     .title = TINY_S("Running"),
     .text = TINY_S("the dog is to run in it."),
     .kind = GA_GUIDELINE_SAFETY,
     .status = GA_STATUS_APPROVED,
     .priority = 7,
     .risks = TINY_LIST(TINY_S("insult"), TINY_S("physical_harm")),
     .triggers = TINY_LIST(TINY_S("run dog run!"), TINY_S("dogs jumping"))},
    {.id = TINY_S("mat"),
     .title = TINY_S("Mats"),
     .text = TINY_S("the cat sat on the mat."),
     .kind = GA_GUIDELINE_QUALITY,
     .status = GA_STATUS_APPROVED,
     .priority = 5,
     .triggers = TINY_LIST(TINY_S("a cat sat"), TINY_S("is it on the mat?"))},
    {.id = TINY_S("mat-too"),
     .title = TINY_S("Mats"),
     .text = TINY_S("the cat sat on the mat."),
     .kind = GA_GUIDELINE_QUALITY,
     .status = GA_STATUS_APPROVED,
     .priority = 5,
     .triggers = TINY_LIST(TINY_S("a cat sat"), TINY_S("is it on the mat?"))},
    {.id = TINY_S("fox"),
     .title = TINY_S("Foxes"),
     .text = TINY_S("a quick brown fox jumped over the lazy dog."),
     .kind = GA_GUIDELINE_PERMIT,
     .status = GA_STATUS_APPROVED,
     .priority = 3,
     .risks = TINY_LIST(TINY_S("privacy_and_property")),
     .triggers = TINY_LIST(TINY_S("the fox, quick!"), TINY_S("fox fox")),
     .non_triggers = TINY_LIST(TINY_S("brown lazy fox"))},
    {.id = TINY_S("over"),
     .title = TINY_S("Over"),
     .text = TINY_S("jump over it, we jumped."),
     .kind = GA_GUIDELINE_QUALITY,
     .status = GA_STATUS_APPROVED,
     .priority = 9,
     .scope = TINY_LIST(TINY_S("shop"), TINY_S("bank")),
     .triggers = TINY_LIST(TINY_S("jump over"))},
    {.id = TINY_S("b"),
     .text = TINY_S("b c b c"),
     .kind = GA_GUIDELINE_SAFETY,
     .status = GA_STATUS_APPROVED,
     .priority = 0,
     .risks = TINY_LIST(TINY_S("crimes_and_illegal_activities"))},
    {.id = TINY_S("a draft"),
     .text = TINY_S("the lazy draft"),
     .kind = GA_GUIDELINE_SAFETY,
     .status = GA_STATUS_DRAFT,
     .priority = 5},
    {.id = TINY_S("retired"),
     .text = TINY_S("the lazy fox"),
     .kind = GA_GUIDELINE_SAFETY,
     .status = GA_STATUS_RETIRED,
     .priority = 5},
    {.id = TINY_S("one"),
     .title = TINY_S("1"),
     .text = TINY_S("1 1 1 1 2"),
     .kind = GA_GUIDELINE_QUALITY,
     .status = GA_STATUS_APPROVED,
     .priority = 5,
     .triggers = TINY_LIST(TINY_S("1 1"), TINY_S("2 1 2"), TINY_S("1?"))},
    {.id = TINY_S("lazy"),
     .title = TINY_S("Laziness"),
     .text = TINY_S("you is lazy, i is lazy, we is lazy!"),
     .kind = GA_GUIDELINE_SAFETY,
     .status = GA_STATUS_APPROVED,
     .priority = 5,
     .risks = TINY_LIST(TINY_S("prompt_leaking")),
     .triggers = TINY_LIST(TINY_S("lazy you"), TINY_S("lazy lazy lazy")),
     .non_triggers = TINY_LIST(TINY_S("you is quick"), TINY_S("we run"))},
    {.id = TINY_S("jump"),
     .title = TINY_S("Jumps"),
     .text = TINY_S("jump!"),
     .kind = GA_GUIDELINE_QUALITY,
     .status = GA_STATUS_APPROVED,
     .priority = 5,
     .triggers = TINY_LIST(TINY_S("jumping, jumped, jumps"))},
    {.id = TINY_S("in"),
     .title = TINY_S("In"),
     .text = TINY_S("in of to in of to"),
     .kind = GA_GUIDELINE_QUALITY,
     .status = GA_STATUS_APPROVED,
     .priority = 5,
     .triggers = TINY_LIST(TINY_S("in of"), TINY_S("of to in"))},
    {.id = TINY_S("you"),
     .title = TINY_S("You"),
     .text = TINY_S("you you you? i i i"),
     .kind = GA_GUIDELINE_QUALITY,
     .status = GA_STATUS_APPROVED,
     .priority = 5,
     .triggers = TINY_LIST(TINY_S("you, you!"))},
    {.id = TINY_S("\xC3\xA9t\xC3\xA9"), /* été, behind all ASCII */
     .title = TINY_S("\xC3\x89t\xC3\xA9"),
     .text = TINY_S("dogs sat on dogs sat on dogs."),
     .kind = GA_GUIDELINE_SAFETY,
     .status = GA_STATUS_APPROVED,
     .priority = 5,
     .risks = TINY_LIST(TINY_S("mental_health")),
     .triggers = TINY_LIST(TINY_S("dogs on dogs"))},
};

static inline void tiny_die(const char *what)
{
    perror(what);
    exit(1);
}

/* ga__pack_write with the tiny model and the default options. */
static inline ga_status tiny_pack_write(const char *path,
                                        const ga_guideline *list, size_t n,
                                        unsigned threads,
                                        const ga_pack_options *options,
                                        ga_pack_report *report, ga_error *err)
{
    char dir[64];
    ga_encoder *enc = NULL;
    ga_scratch *s = NULL;
    ga_pack_options defaults;
    ga_pack_report ignored;
    ga__pack_options_init(&defaults);
    tiny_folder(&(tiny_options){0}, dir);
    if (ga_encoder_open(dir, &enc, NULL) || ga_scratch_new(threads, &s, NULL))
        tiny_die("tiny model");
    tiny_remove(dir);
    ga_status rc =
        ga__pack_write(path, list, n, enc, s, options ? options : &defaults,
                       report ? report : &ignored, err);
    ga_scratch_free(s);
    ga_encoder_close(enc);
    return rc;
}

/* A file that does not exist yet, in a folder of its own. */
static inline void tiny_pack_path(char path[96])
{
    char dir[64] = "/tmp/guidealign-pack-XXXXXX";
    if (!mkdtemp(dir))
        tiny_die(dir);
    snprintf(path, 96, "%s/tiny.gapack", dir);
}

/* Remove the file and its folder; false when anything else lies in there. */
static inline bool tiny_pack_remove(const char *path)
{
    char dir[96];
    snprintf(dir, sizeof(dir), "%s", path);
    *strrchr(dir, '/') = '\0';
    remove(path);
    return rmdir(dir) == 0;
}

static inline unsigned char *tiny_read(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END))
        tiny_die(path);
    *len = (size_t)ftell(f);
    rewind(f);
    unsigned char *bytes = malloc(*len + 1);
    if (!bytes || fread(bytes, 1, *len, f) != *len || fclose(f))
        tiny_die(path);
    return bytes;
}

/* The default pack as bytes, the caller's. */
static inline unsigned char *tiny_pack_bytes(size_t *len)
{
    char path[96];
    ga_error err = {""};
    tiny_pack_path(path);
    if (tiny_pack_write(path, tiny_guidelines, TINY_GUIDELINES, 1, NULL, NULL,
                        &err)) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    unsigned char *bytes = tiny_read(path, len);
    tiny_pack_remove(path);
    return bytes;
}

/* Where the sections of a pack lie; false when the table points outside. */
static inline bool tiny_pack_split(const unsigned char *bytes, size_t len,
                                   ga_str content[GA_PACK_SECTION_COUNT])
{
    ga_pack_section row;
    for (size_t i = 0; i < GA_PACK_SECTION_COUNT; i++) {
        size_t at = sizeof(ga_pack_header) + i * sizeof(row);
        if (len < at + sizeof(row))
            return false;
        memcpy(&row, bytes + at, sizeof(row));
        if (row.at > len || row.length > len - row.at)
            return false;
        content[i] = (ga_str){(const char *)bytes + row.at, row.length};
    }
    return true;
}

/* The digests that belong to the bytes, wherever there is room for one. */
static inline void tiny_pack_seal(unsigned char *bytes, size_t len)
{
    ga_pack_header h;
    ga_sha256 hash;
    size_t table = sizeof(h) + GA_PACK_SECTION_COUNT * sizeof(ga_pack_section);
    if (len < sizeof(h))
        return;
    memcpy(&h, bytes, sizeof(h));
    for (size_t i = 0; i < GA_PACK_SECTION_COUNT; i++) {
        ga_pack_section row;
        size_t at = sizeof(h) + i * sizeof(row);
        if (len < at + sizeof(row))
            return;
        memcpy(&row, bytes + at, sizeof(row));
        if (row.at <= len && row.length <= len - row.at)
            ga__sha256_of(bytes + row.at, row.length, row.digest);
        memcpy(bytes + at, &row, sizeof(row));
    }
    h.length = len;
    ga__sha256_init(&hash);
    ga__sha256_update(&hash, &h, offsetof(ga_pack_header, digest));
    ga__sha256_update(&hash, bytes + sizeof(h), table - sizeof(h));
    ga__sha256_final(&hash, h.digest);
    memcpy(bytes, &h, sizeof(h));
}

/* A pack of these sections, laid out and sealed; free() releases it. */
static inline unsigned char *
tiny_pack_join(const ga_str content[GA_PACK_SECTION_COUNT], size_t *len)
{
    static const char *const names[] = {
#define TINY_NAME(id, name) name,
        GA_PACK_SECTIONS(TINY_NAME)
#undef TINY_NAME
    };
    ga_pack_header h = {.version = GA_PACK_VERSION,
                        .sections = GA_PACK_SECTION_COUNT};
    ga_pack_section table[GA_PACK_SECTION_COUNT] = {0};
    size_t end = sizeof(h) + sizeof(table);
    memcpy(h.magic, GA_PACK_MAGIC, sizeof(h.magic));
    for (size_t i = 0; i < GA_PACK_SECTION_COUNT; i++) {
        snprintf(table[i].name, sizeof(table[i].name), "%s", names[i]);
        table[i].at = (end + GA_PACK_ALIGN - 1) / GA_PACK_ALIGN * GA_PACK_ALIGN;
        table[i].length = content[i].len;
        end = table[i].at + content[i].len;
    }
    unsigned char *bytes = calloc(1, end);
    if (!bytes)
        tiny_die("calloc");
    memcpy(bytes, &h, sizeof(h));
    memcpy(bytes + sizeof(h), table, sizeof(table));
    for (size_t i = 0; i < GA_PACK_SECTION_COUNT; i++) {
        if (content[i].len > 0)
            memcpy(bytes + table[i].at, content[i].ptr, content[i].len);
    }
    tiny_pack_seal(bytes, end);
    *len = end;
    return bytes;
}

/* Open a pack from bytes, by way of a file that is gone afterwards. */
static inline ga_status tiny_pack_open(const unsigned char *bytes, size_t len,
                                       ga_pack **out, ga_error *err)
{
    char path[] = "/tmp/guidealign-pack-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len || close(fd))
        tiny_die(path);
    ga_status rc = ga_pack_open(path, out, err);
    unlink(path);
    return rc;
}

/* The same after replacing the start of one section. */
static inline ga_status tiny_pack_open_with(size_t section, size_t at,
                                            const void *patch, size_t patch_len,
                                            ga_pack **out, ga_error *err)
{
    size_t len;
    unsigned char *bytes = tiny_pack_bytes(&len);
    ga_str content[GA_PACK_SECTION_COUNT];
    if (!tiny_pack_split(bytes, len, content) ||
        at + patch_len > content[section].len)
        tiny_die("patch");
    memcpy(bytes + (content[section].ptr - (const char *)bytes) + at, patch,
           patch_len);
    tiny_pack_seal(bytes, len);
    ga_status rc = tiny_pack_open(bytes, len, out, err);
    free(bytes);
    return rc;
}

#endif
