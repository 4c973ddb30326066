/* bm25.c: search by words. */
#include "train/bm25.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "library/surface.h"

static const double k1 = 1.2, b = 0.75;

/* Document d holds a word so many times. */
typedef struct {
    uint64_t word;
    uint32_t document;
    uint32_t times;
} posting;

struct ga_bm25 {
    posting *postings; /* by word, then document */
    size_t count;
    double *norm; /* [documents]: k1 (1 - b + b length / mean) */
    size_t documents;
    ga_arena arena; /* of one query */
};

static int by_word(const void *x, const void *y)
{
    const posting *p = x, *q = y;
    if (p->word != q->word)
        return p->word < q->word ? -1 : 1;
    return (p->document > q->document) - (p->document < q->document);
}

/* One posting for each document that has the word. */
static void merge(ga_bm25 *index)
{
    size_t kept = 0;
    qsort(index->postings, index->count, sizeof(*index->postings), by_word);
    for (size_t i = 0; i < index->count; i++) {
        const posting *p = &index->postings[i];
        posting *last = kept > 0 ? &index->postings[kept - 1] : NULL;
        if (last && last->word == p->word && last->document == p->document)
            last->times++;
        else
            index->postings[kept++] = *p;
    }
    index->count = kept;
}

static ga_status add_document(ga_bm25 *index, size_t *cap, ga_str text,
                              size_t number, ga_error *err)
{
    ga_surface words;
    ga__arena_reset(&index->arena);
    ga_status rc = ga__surface_of(&words, text, &index->arena, err);
    if (rc)
        return rc;
    void *items = index->postings;
    size_t n = index->count + words.count;
    if (!ga__grow(&items, cap, n, sizeof(*index->postings)))
        return ga__fail_nomem(err, n * sizeof(*index->postings));
    index->postings = items;
    for (size_t w = 0; w < words.count; w++)
        index->postings[index->count++] =
            (posting){words.hash[w], (uint32_t)number, 1};
    index->norm[number] = (double)words.count;
    return GA_OK;
}

ga_status ga__bm25_new(const ga_str *documents, size_t n, ga_bm25 **out,
                       ga_error *err)
{
    size_t cap = 0;
    double sum = 0;
    ga_status rc = GA_OK;
    *out = NULL;
    if (n > UINT32_MAX)
        return ga__fail(err, GA_LIMIT, "%zu documents", n);
    ga_bm25 *index = ga__calloc(1, sizeof(*index));
    if (!index)
        return ga__fail_nomem(err, sizeof(*index));
    index->documents = n;
    index->norm = ga__calloc(n, sizeof(*index->norm));
    if (!index->norm)
        rc = ga__fail_nomem(err, n * sizeof(*index->norm));
    for (size_t d = 0; d < n && !rc; d++)
        rc = add_document(index, &cap, documents[d], d, err);
    if (rc) {
        ga__bm25_free(index);
        return rc;
    }
    if (index->count > 0)
        merge(index);
    for (size_t d = 0; d < n; d++)
        sum += index->norm[d];
    double mean = sum > 0 ? sum / (double)n : 1;
    for (size_t d = 0; d < n; d++)
        index->norm[d] = k1 * (1 - b + b * index->norm[d] / mean);
    *out = index;
    return GA_OK;
}

void ga__bm25_free(ga_bm25 *index)
{
    if (!index)
        return;
    ga__arena_free(&index->arena);
    free(index->norm);
    free(index->postings);
    free(index);
}

/* The first posting of a word, count when there is none. */
static size_t find(const ga_bm25 *index, uint64_t word)
{
    size_t low = 0, n = index->count;
    while (n > 0) {
        size_t half = n / 2;
        if (index->postings[low + half].word < word) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low;
}

ga_status ga__bm25_scores(ga_bm25 *index, ga_str query, float *scores,
                          ga_error *err)
{
    ga_surface words;
    ga__arena_reset(&index->arena);
    ga_status rc = ga__surface_of(&words, query, &index->arena, err);
    for (size_t d = 0; d < index->documents; d++)
        scores[d] = 0;
    for (size_t w = 0; w < words.count && !rc; w++) {
        size_t from = find(index, words.hash[w]), to = from;
        while (to < index->count && index->postings[to].word == words.hash[w])
            to++;
        double n = (double)(to - from), all = (double)index->documents;
        double idf = log(1 + (all - n + 0.5) / (n + 0.5));
        for (size_t i = from; i < to; i++) {
            const posting *p = &index->postings[i];
            double times = (double)p->times;
            scores[p->document] += (float)(idf * times * (k1 + 1) /
                                           (times + index->norm[p->document]));
        }
    }
    return rc;
}
