/* options.c: defaults, names and checks of what a caller may choose. */
#include "guide/guide_internal.h"

#include <math.h>

#include "base/error.h"
#include "base/limits.h"

static const char *const position_names[] = {"system", "last-system",
                                             "user-prefix", "user-suffix"};
enum { POSITIONS = sizeof(position_names) / sizeof(*position_names) };

const char *ga_position_name(ga_position position)
{
    return (unsigned)position < POSITIONS ? position_names[position] : NULL;
}

ga_status ga_position_find(const char *name, ga_position *out, ga_error *err)
{
    for (unsigned i = 0; i < POSITIONS; i++) {
        if (strcmp(name, position_names[i]) == 0) {
            *out = (ga_position)i;
            return GA_OK;
        }
    }
    return ga__fail(err, GA_INVAL,
                    "'%s' is no position: system, last-system, user-prefix, "
                    "user-suffix",
                    name);
}

void ga_guide_options_init(ga_guide_options *options)
{
    *options = (ga_guide_options){
        .size = sizeof(*options),
        .k = 6,
        .threshold = -1,
        .budget = 400,
        .diversity = 0.3,
        .position = GA_POSITION_SYSTEM,
    };
}

ga_status ga__guide_check_options(const ga_guide_options *o, ga_error *err)
{
    if (o->size != sizeof(*o))
        return ga__fail(err, GA_INVAL,
                        "options were not set by ga_guide_options_init");
    if (o->k < 1 || o->k > GA_MAX_K)
        return ga__fail(err, GA_INVAL, "k is %u: 1 to %u are possible", o->k,
                        GA_MAX_K);
    if (isnan(o->threshold) || o->threshold > 1)
        return ga__fail(err, GA_INVAL, "threshold is %g: at most 1",
                        o->threshold);
    if (!(o->diversity >= 0 && o->diversity <= 1))
        return ga__fail(err, GA_INVAL, "diversity is %g: 0 to 1 are possible",
                        o->diversity);
    if (!ga_position_name(o->position))
        return ga__fail(err, GA_INVAL, "position is %d: no such one",
                        (int)o->position);
    if ((o->scope_count && !o->scopes) || (o->pinned_count && !o->pinned))
        return ga__fail(err, GA_INVAL, "a list of the options is NULL");
    return GA_OK;
}

static const char *const state_names[] = {"guided", "none", "skipped"};

const char *ga_decision_state_name(ga_decision_state state)
{
    return (unsigned)state < sizeof(state_names) / sizeof(*state_names)
               ? state_names[state]
               : NULL;
}
