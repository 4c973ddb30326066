#!/bin/sh
# Every libFuzzer target for some seconds, two at a time.  New inputs go to
# build/fuzz/corpus, not into the seeds that git tracks; a crash leaves its
# input in build/fuzz and fails.   usage: fuzz.sh SECONDS
set -eu
seconds=$1
cd "$(dirname "$0")/../build/fuzz"
for target in tests/fuzz_*; do
    [ -x "$target" ] && [ -f "$target" ] || continue
    name=${target#tests/fuzz_}
    mkdir -p "corpus/$name"
    echo "$target corpus/$name ../../tests/fuzz/corpus/$name $name"
done | xargs -P 2 -L 1 sh -c '"$0" -max_total_time='"$seconds"' -max_len=65536 -timeout=10 -print_final_stats=1 "$1" "$2" >"$3.log" 2>&1 \
    && echo "$3: $(grep -o "number_of_executed_units: *[0-9]*" "$3.log" | grep -o "[0-9]*$") inputs, nothing found" \
    || { echo "$3: FAILED"; tail -n 30 "$3.log"; exit 1; }'
