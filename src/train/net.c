/* net.c: the parameters of a net: where they are, where they come from, and
 * how a step changes them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "encoder/published.h"
#include "train/net_internal.h"

/* ---- where they are ---- */

/* Room for rows x columns numbers (columns 0: a vector) under a published name;
 * where they begin.  With NULL for the table only their number is counted. */
static size_t place(ga_net *net, size_t rows, size_t columns,
                    const char *format, size_t layer)
{
    const size_t at = net->count;
    const size_t n = rows * (columns ? columns : 1);
    if (net->parameters) {
        ga_parameter *q = &net->parameters[net->parameter_count];
        *q = (ga_parameter){
            .rows = rows, .columns = columns, .at = at, .count = n};
        /* the formats are those below, with one number or none */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(q->name, sizeof(q->name), format, layer);
#pragma GCC diagnostic pop
    }
    net->parameter_count++;
    net->count += n;
    return at;
}

static ga_net_norm place_norm(ga_net *net, const char *gamma, const char *beta,
                              size_t layer)
{
    const size_t H = net->config.hidden;
    ga_net_norm n = {.gamma = place(net, H, 0, gamma, layer)};
    n.beta = place(net, H, 0, beta, layer);
    return n;
}

#define LAYER "encoder.layer.%zu."

static ga_net_linear place_linear(ga_net *net, size_t N, size_t K,
                                  const char *weight, const char *bias,
                                  size_t layer)
{
    ga_net_linear l = {.N = N, .K = K};
    l.weight = place(net, N, K, weight, layer);
    l.bias = place(net, N, 0, bias, layer);
    return l;
}

/* Query, key and value stand behind one another, first the weights and then the
 * biases, so that they are one layer. */
static ga_net_linear place_qkv(ga_net *net, size_t layer)
{
    const size_t H = net->config.hidden;
    ga_net_linear l = {.N = 3 * H, .K = H};
    l.weight = place(net, H, H, LAYER "attention.self.query.weight", layer);
    place(net, H, H, LAYER "attention.self.key.weight", layer);
    place(net, H, H, LAYER "attention.self.value.weight", layer);
    l.bias = place(net, H, 0, LAYER "attention.self.query.bias", layer);
    place(net, H, 0, LAYER "attention.self.key.bias", layer);
    place(net, H, 0, LAYER "attention.self.value.bias", layer);
    return l;
}

static void place_all(ga_net *net)
{
    const ga_encoder_config *c = &net->config;
    const size_t H = c->hidden, I = c->intermediate;
    net->count = net->parameter_count = 0;
    net->words =
        place(net, c->vocab, H, "embeddings.word_embeddings.weight", 0);
    net->positions =
        place(net, c->positions, H, "embeddings.position_embeddings.weight", 0);
    net->types =
        place(net, c->types, H, "embeddings.token_type_embeddings.weight", 0);
    net->embedding_norm = place_norm(net, "embeddings.LayerNorm.weight",
                                     "embeddings.LayerNorm.bias", 0);
    for (size_t i = 0; i < c->layers; i++) {
        ga_net_layer *l = &net->layers[i];
        l->qkv = place_qkv(net, i);
        l->out = place_linear(net, H, H, LAYER "attention.output.dense.weight",
                              LAYER "attention.output.dense.bias", i);
        l->attention_norm =
            place_norm(net, LAYER "attention.output.LayerNorm.weight",
                       LAYER "attention.output.LayerNorm.bias", i);
        l->up = place_linear(net, I, H, LAYER "intermediate.dense.weight",
                             LAYER "intermediate.dense.bias", i);
        l->down = place_linear(net, H, I, LAYER "output.dense.weight",
                               LAYER "output.dense.bias", i);
        l->output_norm = place_norm(net, LAYER "output.LayerNorm.weight",
                                    LAYER "output.LayerNorm.bias", i);
    }
}

static void *room_for(const ga_net *net, size_t N, size_t K)
{
    return ga__alloc_aligned(ga__net_packed_bytes(net, N, K), 1);
}

static bool make_packed(ga_net *net, ga_net_linear *l)
{
    l->ahead = room_for(net, l->N, l->K);
    l->back = room_for(net, l->K, l->N);
    return l->ahead && l->back;
}

static ga_status make_room(ga_net *net, ga_error *err)
{
    const size_t V = net->config.vocab;
    bool good = true;
    net->layers = ga__calloc(net->config.layers, sizeof(*net->layers));
    if (!net->layers)
        return ga__fail_nomem(err, net->config.layers * sizeof(ga_net_layer));
    place_all(net);
    net->parameters =
        ga__calloc(net->parameter_count, sizeof(*net->parameters));
    if (!net->parameters)
        return ga__fail_nomem(err, net->parameter_count * sizeof(ga_parameter));
    place_all(net);
    float **const arrays[] = {&net->value, &net->gradient, &net->first,
                              &net->second};
    for (size_t i = 0; i < sizeof(arrays) / sizeof(*arrays); i++) {
        *arrays[i] = ga__calloc(net->count, sizeof(float));
        good = good && *arrays[i];
    }
    net->active = ga__calloc(V, sizeof(*net->active));
    net->owed = ga__calloc(V, sizeof(*net->owed));
    net->touched = ga__calloc(V, sizeof(*net->touched));
    net->is_touched = ga__calloc(V, sizeof(*net->is_touched));
    good = good && net->active && net->owed && net->touched && net->is_touched;
    for (size_t i = 0; i < net->config.layers && good; i++) {
        ga_net_layer *l = &net->layers[i];
        good = make_packed(net, &l->qkv) && make_packed(net, &l->out) &&
               make_packed(net, &l->up) && make_packed(net, &l->down);
    }
    return good ? GA_OK : ga__fail_nomem(err, 4 * net->count * sizeof(float));
}

/* ---- where they come from ---- */

static void load(const ga_net *net, size_t at, const ga_tensor *t, size_t n)
{
    ga__tensor_floats(t, 0, n, net->value + at);
}

static void load_norm(const ga_net *net, const ga_net_norm *n,
                      const ga_published_norm *from)
{
    load(net, n->gamma, from->gamma, net->config.hidden);
    load(net, n->beta, from->beta, net->config.hidden);
}

static void load_linear(const ga_net *net, const ga_net_linear *l,
                        const ga_published_linear *from)
{
    const size_t rows = l->N / from->parts;
    for (size_t part = 0; part < from->parts; part++) {
        load(net, l->weight + part * rows * l->K, from->weight[part],
             rows * l->K);
        load(net, l->bias + part * rows, from->bias[part], rows);
    }
}

static ga_status load_all(ga_net *net, const char *dir, ga_error *err)
{
    const ga_encoder_config *c = &net->config;
    ga_map file = GA_MAP_INIT;
    ga_published m;
    char *path = ga__path_join(dir, "model.safetensors");
    if (!path)
        return ga__fail_nomem(err, strlen(dir));
    ga_status rc = ga__map_open(path, &file, err);
    if (!rc)
        rc = ga__published_open(c, (ga_str){(const char *)file.ptr, file.len},
                                &m, err);
    if (!rc) {
        load(net, net->words, m.words, c->vocab * c->hidden);
        load(net, net->positions, m.positions, c->positions * c->hidden);
        load(net, net->types, m.types, c->types * c->hidden);
        load_norm(net, &net->embedding_norm, &m.norm);
        for (size_t i = 0; i < c->layers; i++) {
            const ga_net_layer *l = &net->layers[i];
            load_linear(net, &l->qkv, &m.layers[i].qkv);
            load_linear(net, &l->out, &m.layers[i].out);
            load_norm(net, &l->attention_norm, &m.layers[i].attention_norm);
            load_linear(net, &l->up, &m.layers[i].up);
            load_linear(net, &l->down, &m.layers[i].down);
            load_norm(net, &l->output_norm, &m.layers[i].output_norm);
        }
        ga__published_close(&m);
    }
    for (size_t i = 0; i < net->count && !rc; i++) {
        if (!isfinite(net->value[i]))
            rc = ga__fail(err, GA_FORMAT, "'%s': a weight is not finite", path);
    }
    ga__map_close(&file);
    free(path);
    return rc;
}

static void pack_all(void *arg, size_t member, unsigned thread)
{
    (void)thread;
    ga__net_pack(arg, member);
}

ga_status ga__net_open(const char *dir, const ga_net_options *options,
                       ga_pool *pool, ga_net **out, ga_error *err)
{
    *out = NULL;
    ga_net *net = ga__calloc(1, sizeof(*net));
    if (!net)
        return ga__fail_nomem(err, sizeof(*net));
    net->options = *options;
    net->k = options->kernels ? options->kernels : ga__kernels();
    net->pool = pool;
    net->arena = GA_ARENA_INIT;
    ga__barrier_init(&net->barrier, ga__pool_threads(pool));
    ga_status rc = GA_OK;
    if (!(options->dropout >= 0 && options->dropout < 1))
        rc = ga__fail(err, GA_INVAL, "dropout is 0 to below 1");
    if (!rc)
        rc = ga_encoder_open(dir, &net->encoder, err);
    if (!rc) {
        ga_encoder_image image;
        ga__encoder_image(net->encoder, &image);
        rc = ga__encoder_config_parse(image.config, &net->config, err);
    }
    if (!rc && options->frozen > net->config.layers)
        rc =
            ga__fail(err, GA_INVAL,
                     "%zu layers frozen: the model has %zu, and one must learn",
                     options->frozen - 1, net->config.layers);
    if (!rc)
        rc = make_room(net, err);
    if (!rc)
        rc = load_all(net, dir, err);
    if (rc) {
        ga__net_close(net);
        return rc;
    }
    ga__net_repack(net);
    *out = net;
    return GA_OK;
}

void ga__net_repack(ga_net *net)
{
    ga__pool_run(net->pool, net->barrier.threads, pack_all, net);
}

static void free_packed(ga_net_linear *l)
{
    free(l->ahead);
    free(l->back);
}

void ga__net_close(ga_net *net)
{
    if (!net)
        return;
    for (size_t i = 0; net->layers && i < net->config.layers; i++) {
        free_packed(&net->layers[i].qkv);
        free_packed(&net->layers[i].out);
        free_packed(&net->layers[i].up);
        free_packed(&net->layers[i].down);
    }
    ga__arena_free(&net->arena);
    free(net->layers);
    free(net->parameters);
    free(net->value);
    free(net->gradient);
    free(net->first);
    free(net->second);
    free(net->active);
    free(net->owed);
    free(net->touched);
    free(net->is_touched);
    ga_encoder_close(net->encoder);
    free(net);
}

/* ---- words ---- */

/* A word that had no gradient yet owes the decay of the steps since. */
static void settle_word(ga_net *net, size_t v)
{
    const size_t H = net->config.hidden;
    const float factor = (float)exp(net->decay_so_far - net->owed[v]);
    float *x = net->value + net->words + v * H;
    for (size_t h = 0; h < H && factor < 1; h++)
        x[h] *= factor;
    net->owed[v] = net->decay_so_far;
}

void ga__net_settle(ga_net *net)
{
    for (size_t v = 0; v < net->config.vocab; v++) {
        if (!net->active[v])
            settle_word(net, v);
    }
}

void ga__net_touch(ga_net *net, const ga_net_batch *batch)
{
    for (size_t i = 0; i < batch->texts; i++) {
        for (size_t t = 0; t < batch->lengths[i]; t++) {
            const uint32_t v = batch->ids[i][t];
            if (!net->active[v])
                settle_word(net, v);
            if (!net->pass.learn || net->options.frozen > 0)
                continue;
            net->active[v] = true;
            if (!net->is_touched[v])
                net->touched[net->touched_count++] = v;
            net->is_touched[v] = true;
        }
    }
}

/* ---- a step ---- */

enum { PIECE = 1 << 14 }; /* numbers: sums by piece do not depend on threads */

/* Everything behind the word embeddings, which are stepped row by row. */
static size_t rest_of(const ga_net *net)
{
    return net->words + net->config.vocab * net->config.hidden;
}

static size_t pieces_of(const ga_net *net)
{
    return (net->count - rest_of(net) + PIECE - 1) / PIECE;
}

typedef struct {
    ga_net *net;
    const ga_adamw *a;
    size_t start; /* the first number that is stepped by pieces */
    double *sums;
} stepper;

static double squares(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

static void sum_piece(void *arg, size_t piece, unsigned thread)
{
    stepper *s = arg;
    const size_t at = rest_of(s->net) + piece * PIECE;
    const size_t n = s->net->count - at < PIECE ? s->net->count - at : PIECE;
    (void)thread;
    s->sums[piece] = squares(s->net->gradient + at, n);
}

double ga__net_gradient_norm(ga_net *net)
{
    const size_t pieces = pieces_of(net), H = net->config.hidden;
    double total = 0;
    stepper s = {.net = net};
    s.sums = ga__arena_alloc(&net->arena, pieces, sizeof(*s.sums));
    if (!s.sums) /* without memory by one thread */
        total =
            squares(net->gradient + rest_of(net), net->count - rest_of(net));
    else
        ga__pool_run(net->pool, pieces, sum_piece, &s);
    for (size_t i = 0; i < pieces && s.sums; i++)
        total += s.sums[i];
    for (size_t i = 0; i < net->touched_count; i++)
        total += squares(net->gradient + net->words + net->touched[i] * H, H);
    return sqrt(total);
}

static void step_range(const stepper *s, size_t at, size_t n)
{
    ga_net *net = s->net;
    net->k->adamw(s->a, net->value + at, net->gradient + at, net->first + at,
                  net->second + at, n);
    memset(net->gradient + at, 0, n * sizeof(float));
}

static void step_piece(void *arg, size_t piece, unsigned thread)
{
    const stepper *s = arg;
    const size_t at = s->start + piece * PIECE;
    (void)thread;
    step_range(s, at, s->net->count - at < PIECE ? s->net->count - at : PIECE);
}

static void step_words(void *arg, size_t piece, unsigned thread)
{
    enum { WORDS = 64 };
    const stepper *s = arg;
    const size_t H = s->net->config.hidden, V = s->net->config.vocab;
    (void)thread;
    for (size_t v = piece * WORDS; v < V && v < (piece + 1) * WORDS; v++) {
        if (s->net->active[v])
            step_range(s, s->net->words + v * H, H);
    }
}

/* Words row by row, all else in pieces; what is frozen lies in front. */
static void step_learning(ga_net *net, stepper *s)
{
    enum { WORDS = 64 };
    s->start = rest_of(net);
    if (net->options.frozen == 0)
        ga__pool_run(net->pool, (net->config.vocab + WORDS - 1) / WORDS,
                     step_words, s);
    else
        s->start = net->layers[net->options.frozen - 1].qkv.weight;
    ga__pool_run(net->pool, (net->count - s->start + PIECE - 1) / PIECE,
                 step_piece, s);
}

void ga__net_step(ga_net *net, ga_adamw *a)
{
    stepper s = {.net = net, .a = a};
    net->steps++;
    a->correction1 = (float)(1 - pow((double)a->beta1, (double)net->steps));
    a->correction2 = (float)(1 - pow((double)a->beta2, (double)net->steps));
    step_learning(net, &s);
    if (net->options.frozen == 0)
        net->decay_so_far += log1p(-(double)a->rate * (double)a->decay);
    for (size_t i = 0; i < net->touched_count; i++)
        net->is_touched[net->touched[i]] = false;
    net->touched_count = 0;
    ga__net_repack(net);
}

/* ---- dropout ---- */

/* SplitMix64 (Steele et al., 2014): a number for each counter, so that any
 * thread can make any element's. */
static uint64_t mixed(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

void ga__net_dropout(const ga_net *net, uint64_t site, size_t at, float *x,
                     size_t n)
{
    const float share = net->options.dropout, scale = 1 / (1 - share);
    const uint64_t limit = (uint64_t)((double)share * 0x1p64);
    const uint64_t key =
        mixed(mixed(net->options.seed ^ mixed(net->passes)) ^ site);
    for (size_t i = 0; i < n; i++)
        x[i] = mixed(key + at + i) < limit ? 0 : x[i] * scale;
}

/* ---- looking ---- */

const ga_encoder *ga__net_encoder(const ga_net *net)
{
    return net->encoder;
}

const ga_net_options *ga__net_options(const ga_net *net)
{
    return &net->options;
}

const ga_parameter *ga__net_parameters(const ga_net *net, size_t *count)
{
    *count = net->parameter_count;
    return net->parameters;
}

float *ga__net_values(ga_net *net)
{
    return net->value;
}

float *ga__net_gradients(ga_net *net)
{
    return net->gradient;
}
