#!/bin/sh
# Run the tests that are built.   usage: test.sh all|fast
#
# all:  C tests plain and under ASan and UBSan, the fuzz targets on their seeds,
#       then everything that needs real programs, by pytest.
# fast: the C tests plain and the quick part of pytest.
set -eu
cd "$(dirname "$0")/.."
testenv=$(python3 scripts/setup.py where testenv)
export GUIDEALIGN_BASE_ENCODER="${GUIDEALIGN_BASE_ENCODER:-$(python3 scripts/setup.py where base_encoder)}"
export GUIDEALIGN_BUILD="$PWD/build/test"
export GUIDEALIGN_PATHS="$PWD/build/paths.json"

scripts/compile.sh test
(cd build/test && ctest --output-on-failure --no-tests=error -j 2)
if [ "$1" = fast ]; then
    exec "$testenv/bin/python" -m pytest -q -m 'not slow' tests/integration
fi
scripts/compile.sh asan
(cd build/asan && ctest --output-on-failure --no-tests=error -j 2)
scripts/compile.sh fuzz
(cd build/fuzz && ctest --output-on-failure --no-tests=error -j 2)
exec "$testenv/bin/python" -m pytest -q -rs tests/integration
