/* bench.h: what the benches share. */
#ifndef GA_CLI_BENCH_H
#define GA_CLI_BENCH_H

#include "cli/cli.h"
#include "guidealign/encoder.h"

typedef struct {
    const char *model, *input, *precision, *save;
    unsigned threads, count, dim, batch, steps;
    double seconds;
    bool json;
} cli_bench_options;

/* Resident memory of this process in MB; 0 where it cannot be told. */
double cli_resident_mb(void);

ga_status cli_bench_train(const cli_bench_options *o, ga_precision as,
                          ga_error *err);

#endif
