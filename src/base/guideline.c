/* guideline.c: the names of what a guideline record can say. */
#include "base/guideline.h"

static const char *const risk_names[] = {
#define GA_RISK_NAME(name) #name,
    GA_RISK_MAP(GA_RISK_NAME)
#undef GA_RISK_NAME
};
static const char *const kind_names[] = {"safety", "permit", "quality"};
static const char *const status_names[] = {"draft", "approved", "retired"};

/* Index of `name` among `count` names, `count` when it is none of them. */
static size_t find(const char *const *names, size_t count, ga_str name)
{
    size_t i = 0;
    while (i < count && !ga__str_is(name, names[i]))
        i++;
    return i;
}

const char *ga__risk_name(size_t risk)
{
    return risk < GA_RISK_COUNT ? risk_names[risk] : NULL;
}

size_t ga__risk_find(ga_str name)
{
    return find(risk_names, GA_RISK_COUNT, name);
}

const char *ga__kind_name(ga_guideline_kind kind)
{
    return kind_names[kind];
}

bool ga__kind_find(ga_str name, ga_guideline_kind *out)
{
    size_t i = find(kind_names, 3, name);
    if (i < 3)
        *out = (ga_guideline_kind)i;
    return i < 3;
}

const char *ga__guideline_status_name(ga_guideline_status status)
{
    return status_names[status];
}

bool ga__guideline_status_find(ga_str name, ga_guideline_status *out)
{
    size_t i = find(status_names, 3, name);
    if (i < 3)
        *out = (ga_guideline_status)i;
    return i < 3;
}
