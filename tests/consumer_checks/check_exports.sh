#!/usr/bin/env bash
# The shared libraries export what exported_symbols.txt lists and nothing else, and each is called
# by its version. What the standard library leaves in every program is not looked at. Then each line
# of the list is taken out, and one is added: that must be noticed.
set -euo pipefail
libraries=${1:?usage: check_exports.sh DIRECTORY OF THE LIBRARIES}
list=$(dirname "${BASH_SOURCE[0]}")/exported_symbols.txt

# exported <library>: its names without namespace std's, return types and parameters
exported() {
  nm --dynamic --defined-only --format=posix "$1" | cut -d' ' -f1 |
    grep -vE '^_ZZ?(N[VK]*)?St|^_Z(NK?)?9__gnu_cxx' | c++filt |
    sed -E 's/^(void|bool|auto) //; s/\(.*//; s/^(vtable|typeinfo|typeinfo name) for //' | sort -u
}

# check <list> <library>: no name outside the list; nothing in the list without a name
check() {
  local names name line status=0
  names=$(exported "$2")
  while read -r name; do
    while read -r line; do
      if [[ $name == "$line" || $name == "$line"::* || $name == "$line"'<'* ]]; then
        continue 2
      fi
    done <"$1"
    echo "$2 exports $name, which exported_symbols.txt does not list" >&2
    status=1
  done <<<"$names"
  while read -r line; do
    if [[ $'\n'$names != *$'\n'"$line"* ]]; then
      echo "$2 does not export $line, which exported_symbols.txt lists" >&2
      status=1
    fi
  done <"$1"
  return $status
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
for library in kstone kstone_rocksdb; do
  file=$libraries/lib$library.so
  if [[ ! -e $file && $library == kstone_rocksdb ]]; then
    continue  # built without
  fi
  sed -n "s/^$library //p" "$list" >"$work/list"
  check "$work/list" "$file"
  name=$(readelf -d "$file" | sed -n 's/.*Library soname: \[\(.*\)\]/\1/p')
  if [[ ! $name =~ ^lib$library\.so\.[0-9]+\.[0-9]+$ || ! -e $libraries/$name ]]; then
    echo "$file is called '$name'; expected lib$library.so.MAJOR.MINOR" >&2
    exit 1
  fi
  for line in $(seq "$(wc -l <"$work/list")"); do
    sed "${line}d" "$work/list" >"$work/planted"
    if check "$work/planted" "$file" 2>/dev/null; then
      echo "check_exports.sh: line $line of the list of $library is not missed" >&2
      exit 1
    fi
    count=$((count + 1))
  done
  { cat "$work/list" && echo kstone::nothing; } >"$work/planted"
  if check "$work/planted" "$file" 2>/dev/null; then
    echo "check_exports.sh: a name that $library does not export is not missed" >&2
    exit 1
  fi
done
echo "exports: nothing but what the $count lines of the list name, and each of them"
