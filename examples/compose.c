/* compose.c: print a prompt with the guidelines it needs.
 *
 *     cc compose.c $(pkg-config --cflags --libs guidealign) -o compose
 *     ./compose starter.gapack "can i give my dog ibuprofen?" */
#include <guidealign/guidealign.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        return fprintf(stderr, "usage: %s PACK PROMPT\n", argv[0]), 2;
    ga_error err;
    ga_pack *pack = NULL;
    ga_scratch *scratch = NULL;
    ga_decision *decision = NULL;
    ga_composed *composed = NULL;
    ga_guide_options options;
    ga_guide_options_init(&options);
    ga_message prompt = {GA_ROLE_USER, {argv[2], strlen(argv[2])}};
    size_t n = 0;
    int status = 1;
    if (ga_pack_open(argv[1], &pack, &err) ||
        ga_scratch_new(1, &scratch, &err) || ga_decision_new(&decision, &err) ||
        ga_guide(pack, scratch, &prompt, 1, &options, decision, &err) ||
        ga_compose(pack, decision, &prompt, 1, options.position, &composed,
                   &err)) {
        fprintf(stderr, "%s\n", err.msg);
        goto out;
    }
    const ga_message *m = ga_composed_messages(composed, &n);
    for (size_t i = 0; i < n; i++)
        printf("[%s]\n%.*s\n\n",
               m[i].role == GA_ROLE_SYSTEM ? "system" : "user",
               (int)m[i].text.len, m[i].text.ptr);
    status = 0;
out:
    ga_composed_free(composed);
    ga_decision_free(decision);
    ga_scratch_free(scratch);
    ga_pack_close(pack);
    return status;
}
