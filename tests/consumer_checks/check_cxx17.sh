#!/usr/bin/env bash
# Whoever compiles for C++17 is told so by the first thing that the compiler says, whichever header
# comes first. For C++20 there is nothing to say.
set -euo pipefail
root=${1:?usage: check_cxx17.sh ROOT COMPILER...}
shift
headers=0
options=(-fsyntax-only -Wfatal-errors -Wall -Wextra -Wpedantic -I "$root/include" -x c++ -)
for compiler in "$@"; do
  "$compiler" -std=c++20 -Werror "${options[@]}" <<<'#include "kstone/background_worker_impl.h"'
  while read -r header; do
    if said=$("$compiler" -std=c++17 "${options[@]}" <<<"#include \"$header\"" 2>&1); then
      echo "$compiler compiles $header as C++17" >&2
      exit 1
    fi
    first=$(grep -E -m 1 '(error|warning): ' <<<"$said")
    if [[ $first != *"error: "*"kstone needs C++20"* ]]; then
      echo "the first that $compiler says of $header is: $first" >&2
      exit 1
    fi
    headers=$((headers + 1))
  # All but those that only define macros.
  done < <(cd "$root/include" &&
    grep -LE '^#define KSTONE_(VERSION_MAJOR|EXPORT|CAPABILITY)' kstone/*.h)
done
if [[ $headers -lt $# ]]; then
  echo "check_cxx17.sh: no headers below $root/include/kstone" >&2
  exit 1
fi
echo "C++17: refused in one line, $headers times; accepted as C++20"
