/* fuzz_guide.c: bytes as options and a conversation, guided and composed with a
 * small pack that is made at the first call.
 *
 * Input: 6 bytes of options, then messages: a byte for the role and how often
 * the text is repeated, two for its length, and the text.  It need not be
 * UTF-8; then the call has to say so. */
#include "../tiny_pack.h"
#include "base/utf8.h"
#include "check_guide.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPTIONS = 6, MOST_MESSAGES = 64, MOST_TEXT = 1 << 16 };

static ga_pack *pack;
static ga_scratch *scratch;
static ga_decision *decision;

static void set_up(void)
{
    size_t len;
    unsigned char *bytes = tiny_pack_bytes(&len);
    float risky = 0.5F; /* some prompts are, others are not */
    ga_str content[GA_PACK_SECTION_COUNT];
    require(tiny_pack_split(bytes, len, content));
    memcpy(bytes + (content[GA_PACK_CALIBRATION].ptr - (const char *)bytes) +
               offsetof(ga_pack_calibration, risky),
           &risky, sizeof(risky));
    tiny_pack_seal(bytes, len);
    require(tiny_pack_open(bytes, len, &pack, NULL) == GA_OK);
    free(bytes);
    require(ga_scratch_new(1, &scratch, NULL) == GA_OK);
    require(ga_decision_new(&decision, NULL) == GA_OK);
}

/* The next message; its text is malloc'd so that every read past it is seen. */
static bool next_message(const uint8_t **p, const uint8_t *end, ga_message *out)
{
    if (end - *p < 3)
        return false;
    size_t repeat = (size_t)1 << (**p >> 4); /* 1 to 32,768 times */
    size_t len = (*p)[1] | (size_t)(*p)[2] << 8;
    out->role = (ga_role)(**p & 3);
    *p += 3;
    len = len < (size_t)(end - *p) ? len : (size_t)(end - *p);
    while (repeat > 1 && len * repeat > MOST_TEXT)
        repeat /= 2;
    char *text = malloc(len * repeat ? len * repeat : 1);
    require(text != NULL);
    for (size_t i = 0; i < repeat && len > 0; i++)
        memcpy(text + i * len, *p, len);
    out->text = (ga_str){text, len * repeat};
    *p += len;
    return true;
}

static void check(const ga_message *messages, size_t n,
                  const ga_guide_options *o, bool valid)
{
    ga_error err = {""};
    ga_status rc = ga_guide(pack, scratch, messages, n, o, decision, &err);
    require(rc == (valid ? GA_OK : GA_INVAL));
    if (rc) {
        size_t count;
        require(strstr(err.msg, "invalid UTF-8 at byte") != NULL);
        ga_decision_candidates(decision, NULL, &count);
        require(count == 0);
        return;
    }
    check_decision(pack, decision, o);
    for (int position = 0; position < 4; position++)
        check_composed(pack, decision, messages, n, (ga_position)position);
    check_rank(pack, scratch, messages, n, decision);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ga_str scopes[] = {TINY_S("shop"), TINY_S("")};
    ga_message messages[MOST_MESSAGES];
    ga_str pins[4];
    ga_guide_options o;
    size_t n = 0;
    bool valid = true;
    if (!pack)
        set_up();
    if (size < OPTIONS)
        return 0;
    ga_guide_options_init(&o);
    o.k = 1 + data[0] % GA_MAX_K;
    o.budget = data[1];
    o.threshold = (data[2] - 64) / 191.0;
    o.diversity = data[3] / 255.0;
    o.scopes = scopes + data[4] % 2;
    o.scope_count = data[4] / 2 % 2;
    o.pinned = pins;
    o.pinned_count = data[4] / 4 % 5;
    for (size_t i = 0; i < o.pinned_count; i++) {
        size_t g = (data[5] >> i) % TINY_APPROVED;
        ga_guideline_view view;
        require(ga_pack_guideline(pack, g, &view, NULL) == GA_OK);
        pins[i] = view.id;
    }
    const uint8_t *p = data + OPTIONS, *end = data + size;
    while (n < MOST_MESSAGES && next_message(&p, end, &messages[n])) {
        valid &= ga__utf8_invalid_at(messages[n].text) == messages[n].text.len;
        n++;
    }
    check(messages, n, &o, valid);
    for (size_t i = 0; i < n; i++)
        free((void *)(uintptr_t)messages[i].text.ptr);
    return 0;
}
