#!/usr/bin/env bash
# What no file of the library may name. The models run all threads as fibers of one thread, so a thread_local or a function
# static would be shared between them; and a synchronization type that does not come from Sync would not be modelled.
# With --self-test: plants each and expects to be told.
set -euo pipefail

check() {  # check <root>
  local status=0
  # A static at a function's depth of indentation that is not a constant, a function or a member.
  if grep -rnE '\bthread_local\b|^ +static [^(]*(=|\{[^}]*\};|;)' "$1/include" "$1/src" --include='*.h' --include='*.cpp' |
    grep -vE 'static (inline )?constexpr|static const(expr)? |/rocksdb/|/production_sync\.h:|:[0-9]+: *//'; then
    echo "thread_local or a static object in the library (above)" >&2
    status=1
  fi
  local types='std::(((shared|recursive|timed|shared_timed|recursive_timed)_)?mutex|condition_variable(_any)?|j?thread|'
  types+='(counting|binary)_semaphore|latch|barrier|once_flag|call_once|atomic(_flag|_ref|_thread_fence|_signal_fence)?|'
  types+='(steady|system|high_resolution)_clock)\b|\b__(atomic|sync)_'
  if grep -rnE "$types" "$1/include" "$1/src" --include='*.h' --include='*.cpp' | grep -vE '/(production_sync\.(h|cpp)|rocksdb/[a-z_]+\.(h|cpp)):'; then
    echo "a synchronization type that does not come from Sync (above)" >&2
    status=1
  fi
  return $status
}

root=${1:?usage: check_headers.sh ROOT}
check "$root"

planted=$(mktemp -d)
trap 'rm -rf "$planted"' EXIT
mkdir -p "$planted/include" "$planted/src"
for line in 'thread_local int x;' '  static int calls = 0;' '  static std::string last;' 'std::mutex m;' 'std::steady_clock::now();' \
  'std::shared_mutex m;' 'std::condition_variable_any c;' 'std::atomic<int> a;' 'std::atomic_flag f;' '__atomic_load_n(&x, 0);'; do
  echo "$line" >"$planted/include/planted.h"
  if check "$planted" >/dev/null 2>&1; then
    echo "check_headers.sh: did not find the planted line: $line" >&2
    exit 1
  fi
done
echo "headers: nothing that the models could not see"
