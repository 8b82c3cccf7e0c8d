#!/usr/bin/env bash
# The library and a program that uses it, with clang's standard library: no warning, and it runs.
set -euo pipefail
root=${1:?usage: check_libcxx.sh ROOT CLANGXX}
clangxx=${2:?usage: check_libcxx.sh ROOT CLANGXX}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$clangxx" -std=c++20 -stdlib=libc++ -Wall -Wextra -Wpedantic -Wconversion -Wshadow \
  -Wthread-safety -Werror -pthread -I "$root/include" "$root"/src/*.cpp "$root"/src/core/*.cpp \
  "$root/tests/consumer/main.cpp" -o "$work/consumer"
"$work/consumer"
