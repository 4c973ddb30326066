/* net_pass.c: one batch forward, keeping what the way back needs, and back.
 *
 * The layers are those of the encoder's forward.c, taken apart where a
 * gradient passes; the backward of each part stands below it. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "train/net_internal.h"

/* Places where dropout acts: the embeddings and both halves of a layer. */
static uint64_t site_of(size_t layer, int half)
{
    return 1 + 2 * layer + (uint64_t)half;
}

static size_t hidden(const ga_net_pass *p)
{
    return p->net->config.hidden;
}

static ga_net_range rows_of(const ga_net_pass *p, size_t member)
{
    return ga__net_share(p->net, member, p->T);
}

/* ---- memory ---- */

typedef struct {
    ga_arena *arena;
    bool failed;
    size_t wanted;
} taker;

static void *take(taker *t, size_t n, size_t size)
{
    void *at = ga__arena_alloc(t->arena, n, size);
    t->failed |= at == NULL;
    t->wanted += n * size;
    return at;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void take_kept(ga_net_pass *p, taker *t, size_t soft)
{
    const ga_encoder_config *c = &p->net->config;
    const size_t TH = p->T * c->hidden;
    p->kept = take(t, c->layers, sizeof(*p->kept));
    p->x = take(t, TH, sizeof(float));
    for (size_t i = 0; i < c->layers && !t->failed; i++) {
        ga_net_kept *k = &p->kept[i];
        if (i > 0 && !p->learn) {
            *k = p->kept[0];
            continue;
        }
        k->x = p->learn ? take(t, TH, sizeof(float)) : p->x;
        k->qkv = take(t, 3 * TH, sizeof(float));
        k->soft = p->learn ? take(t, soft, sizeof(float)) : NULL;
        k->mixed = take(t, TH, sizeof(float));
        k->s1 = take(t, TH, sizeof(float));
        k->x1 = take(t, TH, sizeof(float));
        k->u = take(t, p->T * c->intermediate, sizeof(float));
        k->s2 = take(t, TH, sizeof(float));
    }
}

static ga_status allocate(ga_net_pass *p, const ga_net_batch *b, ga_error *err)
{
    const ga_encoder_config *c = &p->net->config;
    const size_t H = c->hidden, I = c->intermediate;
    const size_t widest = larger(3 * H, I) + GA_PANEL;
    const size_t chunk = widest * (GA_NET_CHUNK + 1);
    taker t = {.arena = &p->net->arena};
    size_t soft = 0;
    p->row = take(&t, b->texts, sizeof(*p->row));
    p->soft_at = take(&t, b->texts, sizeof(*p->soft_at));
    for (size_t i = 0; i < b->texts && !t.failed; i++) {
        size_t n = b->lengths[i];
        p->row[i] = p->T;
        p->soft_at[i] = soft;
        p->T += n;
        p->longest = larger(p->longest, n);
        soft += c->heads * n * n;
    }
    const size_t TH = p->T * H;
    p->scratch_size =
        larger(ga__attention_scratch(p->longest, H / c->heads),
               ga__attention_backward_scratch(p->longest, H / c->heads));
    p->out = take(&t, b->texts, H * sizeof(float));
    p->length = take(&t, b->texts, sizeof(float));
    p->embedded = take(&t, TH, sizeof(float));
    if (!t.failed)
        take_kept(p, &t, soft);
    p->wide = take(&t, p->T * I, sizeof(float));
    p->rounded = take(&t, chunk, sizeof(uint16_t));
    p->scratch =
        take(&t, p->net->barrier.threads * p->scratch_size, sizeof(float));
    if (p->learn) {
        p->turned = take(&t, chunk, sizeof(float));
        p->pairs = take(&t, chunk, sizeof(float));
        p->packed = take(&t, chunk, sizeof(float));
        p->dx = take(&t, TH, sizeof(float));
        p->dy = take(&t, TH, sizeof(float));
        p->dz = take(&t, TH, sizeof(float));
        p->dwide = take(&t, p->T * I, sizeof(float));
        p->dqkv = take(&t, 3 * TH, sizeof(float));
    }
    return t.failed ? ga__fail_nomem(err, t.wanted) : GA_OK;
}

/* ---- norms and dropout ---- */

/* y = the norm of s, which stays. */
static void norm(ga_net_pass *p, size_t member, const ga_net_norm *n,
                 const float *s, float *y)
{
    const ga_net *net = p->net;
    const size_t H = hidden(p);
    const ga_net_range rows = rows_of(p, member);
    memcpy(y + rows.first * H, s + rows.first * H,
           (rows.end - rows.first) * H * sizeof(*y));
    net->k->layer_norm(y + rows.first * H, net->value + n->gamma,
                       net->value + n->beta, net->config.norm_eps,
                       rows.end - rows.first, H);
    ga__net_wait(p->net);
}

/* ds from dy; s becomes what it was before gamma and beta. */
static void norm_backward(ga_net_pass *p, size_t member, const ga_net_norm *n,
                          float *s, const float *dy, float *ds)
{
    ga_net *net = p->net;
    const size_t H = hidden(p);
    const ga_net_range rows = rows_of(p, member);
    const ga_net_range columns = ga__net_share(net, member, H);
    const size_t j = columns.first, width = columns.end - j;
    net->k->layer_norm_backward(ds + rows.first * H, s + rows.first * H,
                                dy + rows.first * H, net->value + n->gamma,
                                net->config.norm_eps, rows.end - rows.first, H);
    ga__net_wait(net);
    net->k->add_columns(net->gradient + n->gamma + j, dy + j, s + j, H, p->T,
                        width);
    net->k->add_columns(net->gradient + n->beta + j, dy + j, NULL, H, p->T,
                        width);
    ga__net_wait(net);
}

static bool drops(const ga_net_pass *p)
{
    return p->learn && p->net->options.dropout > 0;
}

/* x = dropout(x), plus the residual where there is one. */
static void drop(ga_net_pass *p, size_t member, uint64_t site, float *x,
                 const float *residual)
{
    const size_t H = hidden(p);
    const ga_net_range rows = rows_of(p, member);
    if (!drops(p))
        return;
    const size_t at = rows.first * H, n = (rows.end - rows.first) * H;
    ga__net_dropout(p->net, site, at, x + at, n);
    if (residual)
        p->net->k->axpy(x + at, 1.0F, residual + at, n);
    ga__net_wait(p->net);
}

/* What of the gradient dy comes through dropout: dy itself, or out. */
static const float *through_dropout(ga_net_pass *p, size_t member,
                                    uint64_t site, const float *dy, float *out)
{
    const size_t H = hidden(p);
    const ga_net_range rows = rows_of(p, member);
    if (!drops(p))
        return dy;
    memcpy(out + rows.first * H, dy + rows.first * H,
           (rows.end - rows.first) * H * sizeof(*out));
    drop(p, member, site, out, NULL);
    return out;
}

/* ---- embeddings ---- */

static void embed(ga_net_pass *p, size_t member)
{
    const ga_net *net = p->net;
    const ga_net_batch *b = &net->batch;
    const size_t H = hidden(p);
    const ga_net_range rows = rows_of(p, member);
    for (size_t i = 0; i < b->texts; i++) {
        for (size_t t = 0; t < b->lengths[i]; t++) {
            float *x = p->embedded + (p->row[i] + t) * H;
            if (p->row[i] + t < rows.first || p->row[i] + t >= rows.end)
                continue;
            memcpy(x, net->value + net->words + b->ids[i][t] * H,
                   H * sizeof(*x));
            net->k->axpy(x, 1.0F, net->value + net->positions + t * H, H);
            net->k->axpy(x, 1.0F, net->value + net->types, H);
        }
    }
    norm(p, member, &net->embedding_norm, p->embedded, p->kept[0].x);
    drop(p, member, 0, p->kept[0].x, NULL);
}

/* Each thread adds up its own columns, in the order of the tokens. */
static void embed_backward(ga_net_pass *p, size_t member, const float *dx)
{
    ga_net *net = p->net;
    const ga_net_batch *b = &net->batch;
    const size_t H = hidden(p);
    const ga_net_range columns = ga__net_share(net, member, H);
    const size_t j = columns.first, n = columns.end - j;
    const float *dy = through_dropout(p, member, 0, dx, p->dz);
    norm_backward(p, member, &net->embedding_norm, p->embedded, dy, p->dy);
    for (size_t i = 0; i < b->texts; i++) {
        for (size_t t = 0; t < b->lengths[i]; t++) {
            const float *d = p->dy + (p->row[i] + t) * H + j;
            float *g = net->gradient + j;
            net->k->axpy(g + net->words + b->ids[i][t] * H, 1.0F, d, n);
            net->k->axpy(g + net->positions + t * H, 1.0F, d, n);
            net->k->axpy(g + net->types, 1.0F, d, n);
        }
    }
    ga__net_wait(net);
}

/* ---- attention ---- */

static ga_attention head_of(const ga_net_pass *p, size_t member,
                            const ga_net_kept *k, size_t text, size_t head)
{
    const ga_encoder_config *c = &p->net->config;
    const size_t H = c->hidden, D = H / c->heads;
    const size_t T = p->net->batch.lengths[text];
    const float *q = k->qkv + p->row[text] * 3 * H + head * D;
    return (ga_attention){
        .T = T,
        .D = D,
        .q = q,
        .k = q + H,
        .v = q + 2 * H,
        .ld = 3 * H,
        .scale = 1.0F / sqrtf((float)D),
        .out = k->mixed + p->row[text] * H + head * D,
        .ldo = H,
        .scratch = p->scratch + member * p->scratch_size,
        .weights = k->soft ? k->soft + p->soft_at[text] + head * T * T : NULL};
}

static void attend(ga_net_pass *p, size_t member, const ga_net_kept *k)
{
    const size_t heads = p->net->config.heads;
    const size_t n = p->net->batch.texts * heads;
    /* in turns, since texts differ in length */
    for (size_t i = member; i < n; i += p->net->barrier.threads) {
        const ga_attention a = head_of(p, member, k, i / heads, i % heads);
        p->net->k->attention(&a);
    }
    ga__net_wait(p->net);
}

/* dqkv from the gradient of what the heads made. */
static void attend_backward(ga_net_pass *p, size_t member, const ga_net_kept *k,
                            float *dmixed, float *dqkv)
{
    const size_t H = hidden(p), heads = p->net->config.heads;
    const size_t n = p->net->batch.texts * heads;
    for (size_t i = member; i < n; i += p->net->barrier.threads) {
        ga_attention_backward b = {
            .of = head_of(p, member, k, i / heads, i % heads)};
        b.dq = dqkv + (b.of.q - k->qkv);
        b.dk = b.dq + H;
        b.dv = b.dk + H;
        b.of.out = dmixed + (b.of.out - k->mixed);
        b.scratch = b.of.scratch;
        p->net->k->attention_backward(&b);
    }
    ga__net_wait(p->net);
}

/* ---- layers ---- */

/* s = x + dropout(a W^T + b) */
static void add_linear(ga_net_pass *p, size_t member, const ga_net_linear *l,
                       const float *a, const float *x, uint64_t site, float *s)
{
    ga__net_linear(p, member, l, a, s, drops(p) ? NULL : x);
    drop(p, member, site, s, x);
}

static void layer(ga_net_pass *p, size_t member, size_t i)
{
    ga_net *net = p->net;
    const ga_net_layer *l = &net->layers[i];
    const ga_net_kept *k = &p->kept[i];
    const size_t I = net->config.intermediate;
    const ga_net_range rows = rows_of(p, member);
    float *next = i + 1 < net->config.layers ? p->kept[i + 1].x : p->x;
    ga__net_linear(p, member, &l->qkv, k->x, k->qkv, NULL);
    attend(p, member, k);
    add_linear(p, member, &l->out, k->mixed, k->x, site_of(i, 0), k->s1);
    norm(p, member, &l->attention_norm, k->s1, k->x1);
    ga__net_linear(p, member, &l->up, k->x1, k->u, NULL);
    net->k->gelu(p->wide + rows.first * I, k->u + rows.first * I,
                 (rows.end - rows.first) * I);
    ga__net_wait(net);
    add_linear(p, member, &l->down, p->wide, k->x1, site_of(i, 1), k->s2);
    norm(p, member, &l->output_norm, k->s2, next);
}

/* p->dx, the gradient of what the layer makes, becomes that of what it takes.
 */
static void layer_backward(ga_net_pass *p, size_t member, size_t i)
{
    ga_net *net = p->net;
    const ga_net_layer *l = &net->layers[i];
    const ga_net_kept *k = &p->kept[i];
    const size_t I = net->config.intermediate;
    const ga_net_range rows = rows_of(p, member);
    const size_t at = rows.first * I, n = (rows.end - rows.first) * I;
    const float *d;
    norm_backward(p, member, &l->output_norm, k->s2, p->dx, p->dy);
    net->k->gelu(p->wide + at, k->u + at, n);
    d = through_dropout(p, member, site_of(i, 1), p->dy, p->dz);
    ga__net_wait(net);
    ga__net_linear_backward(p, member, &l->down, d, p->wide, p->dwide, NULL);
    net->k->gelu_backward(p->dwide + at, k->u + at, p->dwide + at, n);
    ga__net_wait(net);
    ga__net_linear_backward(p, member, &l->up, p->dwide, k->x1, p->dx, p->dy);
    norm_backward(p, member, &l->attention_norm, k->s1, p->dx, p->dy);
    d = through_dropout(p, member, site_of(i, 0), p->dy, p->dz);
    ga__net_linear_backward(p, member, &l->out, d, k->mixed, p->dx, NULL);
    attend_backward(p, member, k, p->dx, p->dqkv);
    ga__net_linear_backward(p, member, &l->qkv, p->dqkv, k->x, p->dx, p->dy);
}

/* ---- pooling ---- */

static void pool(ga_net_pass *p, size_t member)
{
    const ga_net_batch *b = &p->net->batch;
    const size_t H = hidden(p);
    const ga_net_range mine = ga__net_share(p->net, member, b->texts);
    for (size_t i = mine.first; i < mine.end; i++) {
        const size_t T =
            p->net->config.pooling == GA_POOLING_CLS ? 1 : b->lengths[i];
        float *out = p->out + i * H;
        double squares = 0;
        memset(out, 0, H * sizeof(*out));
        for (size_t t = 0; t < T; t++)
            p->net->k->axpy(out, 1.0F / (float)T, p->x + (p->row[i] + t) * H,
                            H);
        for (size_t h = 0; h < H; h++)
            squares += (double)out[h] * (double)out[h];
        p->length[i] = (float)fmax(sqrt(squares), 1e-12);
        for (size_t h = 0; h < H; h++)
            out[h] /= p->length[i];
    }
    ga__net_wait(p->net);
}

/* Of z = e / |e| with e the mean over T rows: de = (dz - z (z . dz)) / |e|, and
 * each row gets its share. */
static void pool_backward(ga_net_pass *p, size_t member)
{
    const ga_net_batch *b = &p->net->batch;
    const size_t H = hidden(p);
    const ga_net_range mine = ga__net_share(p->net, member, b->texts);
    for (size_t i = mine.first; i < mine.end; i++) {
        const bool cls = p->net->config.pooling == GA_POOLING_CLS;
        const size_t T = cls ? 1 : b->lengths[i];
        const float *z = p->out + i * H, *dz = p->dout + i * H;
        const float along = p->net->k->dot(z, dz, H);
        const float share = 1.0F / (p->length[i] * (float)T);
        float *dx = p->dx + p->row[i] * H;
        memset(dx, 0, b->lengths[i] * H * sizeof(*dx));
        for (size_t t = 0; t < T; t++)
            for (size_t h = 0; h < H; h++)
                dx[t * H + h] = (dz[h] - z[h] * along) * share;
    }
    ga__net_wait(p->net);
}

/* ---- all of it ---- */

static void forward(void *arg, size_t member, unsigned thread)
{
    ga_net_pass *p = arg;
    (void)thread;
    embed(p, member);
    for (size_t i = 0; i < p->net->config.layers; i++)
        layer(p, member, i);
    pool(p, member);
}

static void backward(void *arg, size_t member, unsigned thread)
{
    ga_net_pass *p = arg;
    const size_t frozen = p->net->options.frozen;
    const size_t lowest = frozen > 0 ? frozen - 1 : 0;
    (void)thread;
    pool_backward(p, member);
    for (size_t i = p->net->config.layers; i-- > lowest;)
        layer_backward(p, member, i);
    if (frozen == 0)
        embed_backward(p, member, p->dx);
}

/* The batch's tokens are kept for the way back. */
static ga_status keep_batch(ga_net *net, const ga_net_batch *b, ga_error *err)
{
    uint32_t *ids;
    size_t total = 0;
    for (size_t i = 0; i < b->texts; i++)
        total += b->lengths[i];
    ids = ga__arena_alloc(&net->arena, total, sizeof(*ids));
    const uint32_t **rows =
        ga__arena_alloc(&net->arena, b->texts, sizeof(*rows));
    size_t *lengths = ga__arena_alloc(&net->arena, b->texts, sizeof(*lengths));
    if (!ids || !rows || !lengths)
        return ga__fail_nomem(err, total * sizeof(*ids));
    for (size_t i = 0; i < b->texts; i++) {
        memcpy(ids, b->ids[i], b->lengths[i] * sizeof(*ids));
        rows[i] = ids;
        lengths[i] = b->lengths[i];
        ids += lengths[i];
    }
    net->batch = (ga_net_batch){rows, lengths, b->texts};
    return GA_OK;
}

ga_status ga__net_forward(ga_net *net, const ga_net_batch *batch, bool learn,
                          float *out, ga_error *err)
{
    net->pass = (ga_net_pass){.net = net, .learn = learn && batch->texts > 0};
    if (batch->texts == 0)
        return GA_OK;
    ga__arena_reset(&net->arena);
    ga_status rc = keep_batch(net, batch, err);
    if (!rc)
        rc = allocate(&net->pass, &net->batch, err);
    if (rc) {
        net->pass.learn = false;
        return rc;
    }
    net->passes += learn;
    ga__net_touch(net, &net->batch);
    ga__pool_run(net->pool, net->barrier.threads, forward, &net->pass);
    memcpy(out, net->pass.out,
           batch->texts * net->config.hidden * sizeof(*out));
    return GA_OK;
}

ga_status ga__net_backward(ga_net *net, const float *dout, ga_error *err)
{
    if (!net->pass.learn)
        return ga__fail(err, GA_INVAL, "backward without a learning forward");
    net->pass.dout = dout;
    ga__pool_run(net->pool, net->barrier.threads, backward, &net->pass);
    net->pass.learn = false; /* what was kept is used up */
    return GA_OK;
}
