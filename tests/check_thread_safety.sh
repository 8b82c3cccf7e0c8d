#!/usr/bin/env bash
# clang's thread-safety analysis accepts the library as it is, and refuses it with a lock taken out: one copy for each
# function that takes the mutex by a guard.
set -euo pipefail
root=${1:?usage: check_thread_safety.sh ROOT CLANGXX}
clangxx=${2:?usage: check_thread_safety.sh ROOT CLANGXX}

compiles() {  # compiles <root>
  "$clangxx" -std=c++20 -fsyntax-only -Wthread-safety -Werror -I "$1/include" "$1/src/background_worker.cpp"
}

compiles "$root"

planted=$(mktemp -d)
trap 'rm -rf "$planted"' EXIT
file=include/kstone/background_worker_impl.h
mapfile -t guards < <(grep -nE '^ *detail::ScopedLock lock\(mutex_\);' "$root/$file" | cut -d: -f1)
for line in "${guards[@]}"; do
  rm -rf "${planted:?}"/*
  cp -r "$root/include" "$root/src" "$planted/"
  sed -i "${line}d" "$planted/$file"
  if compiles "$planted" 2>/dev/null; then
    echo "check_thread_safety.sh: compiles without the guard in $file:$line" >&2
    exit 1
  fi
done
if [[ ${#guards[@]} -lt 5 ]]; then
  echo "check_thread_safety.sh: found only ${#guards[@]} guards to take out" >&2
  exit 1
fi
echo "thread safety: accepted, and refused without each of ${#guards[@]} guards"
