#!/usr/bin/env bash
# What no file of the library may name. The models run all threads as fibers of one thread, so a
# thread_local or a function static would be shared between them; and a synchronization type that
# does not come from Sync would not be modelled. And what none may include: the layers know each
# other one way, words, core, shell, worker, adapters. Plants each and expects to be told.
set -euo pipefail

check() {  # check <root>
  local status=0
  local sources=(--include='*.h' --include='*.cpp' "$1/include" "$1/src")
  # A static at a function's depth of indentation that is not a constant, a function or a member.
  local allowed='static (inline )?constexpr|static const(expr)? '
  allowed+='|/rocksdb/|/production_sync\.(h|cpp):|:[0-9]+: *//'
  if grep -rnE '\bthread_local\b|^ +static [^(]*(=|\{[^}]*\};|;)' "${sources[@]}" |
    grep -vE "$allowed"; then
    echo "thread_local or a static object in the library (above)" >&2
    status=1
  fi
  local types='std::(((shared|recursive|timed|shared_timed|recursive_timed)_)?mutex|'
  types+='condition_variable(_any)?|j?thread|'
  types+='(counting|binary)_semaphore|latch|barrier|once_flag|call_once|'
  types+='atomic(_flag|_ref|_thread_fence|_signal_fence)?|'
  types+='(steady|system|high_resolution)_clock)\b|\b__(atomic|sync)_'
  if grep -rnE "$types" "${sources[@]}" |
    grep -vE '/(production_sync\.(h|cpp)|rocksdb/[a-z_]+\.(h|cpp)):'; then
    echo "a synchronization type that does not come from Sync (above)" >&2
    status=1
  fi
  local layer upper
  for layer in words: core:words shell:words,core; do
    upper=${layer#*:}
    if grep -rnE '^#include "kstone/(detail/(words|core|shell)|background_worker|rocksdb)' \
      "$1/include/kstone/detail/${layer%:*}" 2>/dev/null |
      grep -vE "#include \"kstone/detail/(${layer%:*}${upper:+|${upper//,/|}})/"; then
      echo "a layer includes one above it (above)" >&2
      status=1
    fi
  done
  if grep -rnE '^#include "kstone/detail/(words|core|shell)/' --exclude-dir=detail \
    "$1/include" "$1/src/rocksdb" |
    grep -v '/background_worker_impl\.h:'; then
    echo "the inside of the worker in a public header or an adapter (above)" >&2
    status=1
  fi
  return $status
}

root=${1:?usage: check_headers.sh ROOT}
check "$root"

planted=$(mktemp -d)
trap 'rm -rf "$planted"' EXIT
mkdir -p "$planted/include/kstone/detail/"{words,core,shell} \
  "$planted/include/kstone/rocksdb" "$planted/src/rocksdb"
expect_told() {  # expect_told <file> <line>
  echo "$2" >"$planted/$1"
  if check "$planted" >/dev/null 2>&1; then
    echo "check_headers.sh: did not find the line planted in $1: $2" >&2
    exit 1
  fi
  rm "$planted/$1"
}
for line in 'thread_local int x;' '  static int calls = 0;' '  static std::string last;' \
  'std::mutex m;' 'std::steady_clock::now();' 'std::shared_mutex m;' \
  'std::condition_variable_any c;' 'std::atomic<int> a;' 'std::atomic_flag f;' \
  '__atomic_load_n(&x, 0);'; do
  expect_told include/planted.h "$line"
done
while read -r file header; do
  expect_told "include/kstone/$file" "#include \"kstone/$header\""
done <<'PLANTED'
detail/words/planted.h detail/core/lane.h
detail/core/planted.h detail/shell/inbox.h
detail/shell/planted.h background_worker.h
detail/core/planted.h rocksdb/leveled_picker.h
planted.h detail/core/lane.h
rocksdb/planted.h detail/words/stripe_word.h
PLANTED
if ! check "$planted" >/dev/null; then
  echo "check_headers.sh: finds something where nothing is planted" >&2
  exit 1
fi
echo "headers: nothing that the models could not see"
