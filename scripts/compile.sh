#!/bin/sh
# Configure (once) and build one preset of CMakePresets.json, quietly unless
# something goes wrong.   usage: compile.sh release|test|asan|tsan|fuzz|coverage
set -eu
cd "$(dirname "$0")/.."
preset=$1
folder=build
[ "$preset" = release ] || folder=build/$preset
if [ ! -f "$folder/build.ninja" ]; then
    mkdir -p "$folder"
    cmake --preset "$preset" >"$folder/configure.log" 2>&1 || { cat "$folder/configure.log"; exit 1; }
fi
exec cmake --build --preset "$preset" -- --quiet
