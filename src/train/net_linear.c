/* net_linear.c: linear layers forward and backward, by the kernels' products.
 *
 *     y = x W^T + b        dx = dy W        dW = dy^T x        db = sum of dy
 * All three are products of the same kernel once the right side is packed and,
 * for dW, the left one transposed.  Rows are taken in chunks, so that what is
 * transposed and packed of them stays in the cache. */
#include "train/net_internal.h"

/* Rows of a chunk: as many each as GA_NET_CHUNK allows. */
static size_t chunk_of(const ga_net_pass *p)
{
    size_t chunks = (p->T + GA_NET_CHUNK - 1) / GA_NET_CHUNK;
    return (p->T + chunks - 1) / chunks;
}

static size_t group_of(const ga_net *net)
{
    return ga__number_group(net->options.type);
}

static size_t bytes_of(const ga_net *net)
{
    return ga__number_bytes(net->options.type);
}

/* n rounded up to whole groups. */
static size_t whole(const ga_net *net, size_t n)
{
    size_t g = group_of(net);
    return (n + g - 1) / g * g;
}

static size_t panels(size_t n)
{
    return (n + GA_PANEL - 1) / GA_PANEL;
}

size_t ga__net_packed_bytes(const ga_net *net, size_t N, size_t K)
{
    return panels(N) * GA_PANEL * whole(net, K) * bytes_of(net);
}

/* The member's columns of c [M, N] = a w^T, with what else the epilogue says
 * about column 0. */
static void product(const ga_net *net, size_t member, size_t M, size_t N,
                    size_t K, const void *a, size_t lda, const void *w,
                    ga_epilogue out)
{
    const ga_net_range mine = ga__net_share(net, member, panels(N));
    const size_t j = mine.first * GA_PANEL;
    const size_t end = mine.end * GA_PANEL < N ? mine.end * GA_PANEL : N;
    if (j >= end)
        return;
    out.bias = out.bias ? out.bias + j : NULL;
    out.residual = out.residual ? out.residual + j : NULL;
    out.c += j;
    net->k->gemm(
        &(ga_gemm){.type = net->options.type,
                   .M = M,
                   .N = end - j,
                   .K = K,
                   .a = a,
                   .lda = lda,
                   .w = (const char *)w + ga__net_packed_bytes(net, j, K),
                   .out = out});
}

/* The member's rows of x [rows, K] as a product takes them; others' rows are
 * there after a wait. */
static const void *left_side(ga_net_pass *p, size_t member, const float *x,
                             size_t rows, size_t K)
{
    const ga_net *net = p->net;
    const ga_net_range mine = ga__net_share(net, member, rows);
    if (net->options.type == GA_F32)
        return x;
    const size_t lda = whole(net, K);
    net->k->round_bf16((uint16_t *)p->rounded + mine.first * lda, lda,
                       x + mine.first * K, K, mine.end - mine.first, K);
    return p->rounded;
}

void ga__net_linear(ga_net_pass *p, size_t member, const ga_net_linear *l,
                    const float *x, float *c, const float *residual)
{
    ga_net *net = p->net;
    const size_t chunk = chunk_of(p);
    for (size_t t = 0; t < p->T; t += chunk) {
        size_t rows = p->T - t < chunk ? p->T - t : chunk;
        const void *a = left_side(p, member, x + t * l->K, rows, l->K);
        if (a == p->rounded)
            ga__net_wait(net);
        product(net, member, rows, l->N, l->K, a, whole(net, l->K), l->ahead,
                (ga_epilogue){.bias = net->value + l->bias,
                              .residual = residual ? residual + t * l->N : NULL,
                              .c = c + t * l->N,
                              .ldc = l->N});
        if (a == p->rounded)
            ga__net_wait(net);
    }
    ga__net_wait(net);
}

/* ---- packing ---- */

/* Columns of x [rows, K] as rows of weights: [K / 32, rows, 32]. */
static void pack_columns(const ga_net *net, ga_net_range mine, void *packed,
                         const float *x, size_t rows, size_t K)
{
    const size_t groups = whole(net, rows) / group_of(net);
    for (size_t panel = mine.first; panel < mine.end; panel++) {
        uint32_t *to = (uint32_t *)packed + panel * groups * GA_PANEL;
        const float *from = x + panel * GA_PANEL;
        size_t n = K - panel * GA_PANEL;
        n = n < GA_PANEL ? n : GA_PANEL;
        if (n < GA_PANEL)
            memset(to, 0, groups * GA_PANEL * sizeof(*to));
        if (net->options.type == GA_BF16)
            net->k->pair_bf16(to, GA_PANEL, from, K, rows, n);
        else
            for (size_t r = 0; r < rows; r++)
                memcpy(to + r * GA_PANEL, from + r * K, n * sizeof(*from));
    }
}

/* Rows of w [N, K] as they are used: [N / 32, K, 32]. */
static void pack_rows(const ga_net *net, ga_net_range mine, void *packed,
                      const float *w, size_t N, size_t K)
{
    enum { COLUMNS = 512 };
    const size_t group = group_of(net), groups = whole(net, K) / group;
    uint32_t some[GA_PANEL * COLUMNS / 2]; /* rounded */
    for (size_t panel = mine.first; panel < mine.end; panel++) {
        uint32_t *to = (uint32_t *)packed + panel * groups * GA_PANEL;
        const float *from = w + panel * GA_PANEL * K;
        size_t n = N - panel * GA_PANEL;
        n = n < GA_PANEL ? n : GA_PANEL;
        if (n < GA_PANEL)
            memset(to, 0, groups * GA_PANEL * sizeof(*to));
        if (net->options.type == GA_F32) {
            net->k->transpose(to, GA_PANEL,
                              (const uint32_t *)(const void *)from, K, n, K);
            continue;
        }
        for (size_t k = 0; k < K; k += COLUMNS) {
            size_t columns = K - k < COLUMNS ? K - k : COLUMNS;
            size_t pairs = whole(net, columns) / group;
            net->k->round_bf16((uint16_t *)(void *)some, pairs * group,
                               from + k, K, n, columns);
            net->k->transpose(to + k / group * GA_PANEL, GA_PANEL, some, pairs,
                              n, pairs);
        }
    }
}

static void pack_linear(ga_net *net, size_t member, const ga_net_linear *l)
{
    const float *w = net->value + l->weight;
    pack_rows(net, ga__net_share(net, member, panels(l->N)), l->ahead, w, l->N,
              l->K);
    pack_columns(net, ga__net_share(net, member, panels(l->K)), l->back, w,
                 l->N, l->K);
}

void ga__net_pack(ga_net *net, size_t member)
{
    for (size_t i = 0; i < net->config.layers; i++) {
        ga_net_layer *l = &net->layers[i];
        pack_linear(net, member, &l->qkv);
        pack_linear(net, member, &l->out);
        pack_linear(net, member, &l->up);
        pack_linear(net, member, &l->down);
    }
}

/* ---- backward ---- */

/* dy [rows, N] transposed: [N, rows], as a product's left side. */
static void turn(ga_net_pass *p, size_t member, const float *dy, size_t rows,
                 size_t N)
{
    ga_net *net = p->net;
    const size_t groups = whole(net, rows) / group_of(net);
    const ga_net_range columns = ga__net_share(net, member, N);
    const uint32_t *from = (const uint32_t *)(const void *)dy;
    if (net->options.type == GA_BF16) {
        const ga_net_range mine = ga__net_share(net, member, groups);
        size_t end = mine.end * 2 < rows ? mine.end * 2 : rows;
        net->k->pair_bf16((uint32_t *)p->pairs + mine.first * N, N,
                          dy + mine.first * 2 * N, N, end - mine.first * 2, N);
        ga__net_wait(net);
        from = p->pairs;
    }
    net->k->transpose((uint32_t *)p->turned + columns.first * groups, groups,
                      from + columns.first, N, groups,
                      columns.end - columns.first);
}

void ga__net_linear_backward(ga_net_pass *p, size_t member,
                             const ga_net_linear *l, const float *dy,
                             const float *x, float *dx, const float *residual)
{
    ga_net *net = p->net;
    const size_t N = l->N, K = l->K;
    const ga_net_range columns = ga__net_share(net, member, N);
    float *dw = net->gradient + l->weight;
    const size_t chunk = chunk_of(p);
    for (size_t t = 0; t < p->T; t += chunk) {
        size_t rows = p->T - t < chunk ? p->T - t : chunk;
        const float *y = dy + t * N;
        const void *a = left_side(p, member, y, rows, N);
        turn(p, member, y, rows, N);
        pack_columns(net, ga__net_share(net, member, panels(K)), p->packed,
                     x + t * K, rows, K);
        ga__net_wait(net);
        if (dx)
            product(
                net, member, rows, K, N, a, whole(net, N), l->back,
                (ga_epilogue){.residual = residual ? residual + t * K : NULL,
                              .c = dx + t * K,
                              .ldc = K});
        product(net, member, N, K, rows, p->turned, whole(net, rows), p->packed,
                (ga_epilogue){.residual = dw, .c = dw, .ldc = K});
        net->k->add_columns(net->gradient + l->bias + columns.first,
                            y + columns.first, NULL, N, rows,
                            columns.end - columns.first);
        ga__net_wait(net);
    }
}
