/* fuzz_pack.c: any bytes as a pack.  Checksums would stop nearly every change
 * at the door, so the digests are made to fit first and the checks behind them
 * are reached; what opens has to serve.
 *
 * The mutator changes one section at a time and lays the pack out anew, so
 * that sections may grow and shrink.  Seeds: unit_pack --seeds DIR. */
#define _GNU_SOURCE /* memfd_create */
#include <sys/mman.h>

#include "../tiny_pack.h"
#include "check_guide.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
                               unsigned seed);

static ga_scratch *scratch;
static ga_decision *decision;

static void serve(const ga_pack *pack)
{
    static const ga_message messages[] = {
        {GA_ROLE_SYSTEM, TINY_S("we is in it")},
        {GA_ROLE_USER, TINY_S("run, dog, run")},
        {GA_ROLE_ASSISTANT, TINY_S("the lazy dog")},
        {GA_ROLE_USER, TINY_S("is the cat on the mat?")}};
    static const double thresholds[] = {-1, 0};
    ga_guide_options o;
    ga_guideline_view g;
    ga_error err;
    for (size_t i = 0; i < ga_pack_count(pack); i++) {
        require(ga_pack_guideline(pack, i, &g, &err) == GA_OK);
        require(ga__pack_find(pack, g.id) == i);
    }
    require(strlen(ga_pack_id(pack)) == 12);
    for (unsigned i = 0; i < 4; i++) {
        ga_guide_options_init(&o);
        o.threshold = thresholds[i % 2];
        if (i >= 2 && ga_pack_count(pack) > 0) { /* pin the last one */
            o.pinned = &g.id;
            o.pinned_count = 1;
        }
        ga_status rc = ga_guide(pack, scratch, messages, 4, &o, decision, &err);
        if (rc == GA_FORMAT)
            return; /* the model's numbers overflow: only running it tells */
        require(rc == GA_OK);
        check_decision(pack, decision, &o);
        check_composed(pack, decision, messages, 4, (ga_position)i);
    }
    check_rank(pack, scratch, messages, 4, decision);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    ga_pack *pack = NULL;
    ga_error err = {""};
    unsigned char *bytes = malloc(size + 1);
    if (!scratch &&
        (ga_scratch_new(1, &scratch, NULL) || ga_decision_new(&decision, NULL)))
        abort();
    int fd = memfd_create("pack", MFD_CLOEXEC);
    require(bytes && fd >= 0);
    if (size > 0)
        memcpy(bytes, data, size);
    tiny_pack_seal(bytes, size);
    require(write(fd, bytes, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ga_status rc = ga_pack_open(path, &pack, &err);
    close(fd);
    free(bytes);
    require((rc == GA_OK) == (pack != NULL));
    require(rc == GA_OK || err.msg[0]);
    if (pack)
        serve(pack);
    ga_pack_close(pack);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
                               unsigned seed)
{
    ga_str content[GA_PACK_SECTION_COUNT];
    size_t i = seed / 16 % GA_PACK_SECTION_COUNT, len;
    size_t room = GA_PACK_SECTION_COUNT * (sizeof(ga_pack_section) + 64) + 96;
    if (seed % 16 == 0 || !tiny_pack_split(data, size, content))
        return LLVMFuzzerMutate(data, size, max);
    for (size_t k = 0; k < GA_PACK_SECTION_COUNT; k++)
        room += k == i ? 0 : content[k].len;
    if (room >= max || content[i].len > max - room)
        return LLVMFuzzerMutate(data, size, max);
    uint8_t *section = malloc(max - room);
    require(section != NULL);
    if (content[i].len > 0)
        memcpy(section, content[i].ptr, content[i].len);
    content[i].len = LLVMFuzzerMutate(section, content[i].len, max - room);
    content[i].ptr = (const char *)section;
    uint8_t *joined = tiny_pack_join(content, &len);
    require(len <= max);
    memcpy(data, joined, len);
    free(joined);
    free(section);
    return len;
}
