#!/usr/bin/env bash
# clang's thread-safety analysis accepts the library as it is, and refuses it with a lock taken out:
# one copy for each function that takes the mutex by a guard.
set -euo pipefail
root=${1:?usage: check_thread_safety.sh ROOT CLANGXX}
clangxx=${2:?usage: check_thread_safety.sh ROOT CLANGXX}

compiles() {  # compiles <root>
  "$clangxx" -std=c++20 -fsyntax-only -Wthread-safety -Werror -I "$1/include" \
    "$1/src/background_worker.cpp"
}

compiles "$root"

planted=$(mktemp -d)
trap 'rm -rf "$planted"' EXIT
mapfile -t guards < <(cd "$root" &&
  grep -nE '^ *ScopedLock lock\(mutex_\);' include/kstone/detail/shell/*.h | cut -d: -f1,2)
for guard in "${guards[@]}"; do
  file=${guard%:*} line=${guard#*:}
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
