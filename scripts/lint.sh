#!/bin/sh
# Layers, format, sizes and clang-tidy.  Prints what is wrong and exits 1.
set -eu
cd "$(dirname "$0")/.."
status=0
python3 scripts/check_layers.py || status=1
files=$(git ls-files '*.c' '*.h')
clang-format --dry-run --Werror $files || status=1
for f in $files; do
    lines=$(wc -l <"$f")
    [ "$lines" -le 1200 ] || { echo "$f: $lines lines, the limit is 1200" >&2; status=1; }
done
scripts/compile.sh test # for compile_commands.json
git ls-files 'src/*.c' | xargs -P 2 -n 8 clang-tidy --quiet -p build/test 2>/dev/null || status=1
exit $status
