/* metrics.c: how good a ranking of guidelines is. */
#include "train/metrics.h"

#include <math.h>

static double gain(unsigned grade, size_t rank)
{
    return (double)((1u << grade) - 1) / log2((double)rank + 1);
}

/* The best that k places can hold. */
static double ideal_dcg(const size_t count[4], size_t k)
{
    double sum = 0;
    size_t rank = 1;
    for (unsigned grade = 3; grade > 0; grade--) {
        for (size_t i = 0; i < count[grade] && rank <= k; i++)
            sum += gain(grade, rank++);
    }
    return sum;
}

bool ga__metrics_add(ga_metrics *m, const uint32_t *order, const uint8_t *grade,
                     size_t G, size_t k)
{
    size_t count[4] = {0}, found = 0, first = 0;
    double dcg = 0;
    for (size_t g = 0; g < G; g++)
        count[grade[g]]++;
    unsigned least = count[3] + count[2] > 0 ? 2 : 1;
    size_t relevant = least == 2 ? count[3] + count[2] : count[1];
    if (relevant == 0)
        return false;
    for (size_t i = 0; i < G && (i < k || first == 0); i++) {
        unsigned its = grade[order[i]];
        if (i < k)
            dcg += gain(its, i + 1);
        if (its >= least) {
            found += i < k;
            first = first ? first : i + 1;
        }
    }
    m->prompts++;
    m->hit += found > 0;
    m->recall += (double)found / (double)relevant;
    m->ndcg += dcg / ideal_dcg(count, k);
    m->mrr += first ? 1 / (double)first : 0;
    return true;
}

void ga__metrics_finish(ga_metrics *m)
{
    double n = m->prompts ? (double)m->prompts : 1;
    m->hit /= n;
    m->recall /= n;
    m->ndcg /= n;
    m->mrr /= n;
}
