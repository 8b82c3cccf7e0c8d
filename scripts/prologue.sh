# Sourced first by the other scripts: where they are, what every one of them takes, one at a time.
#
#   caller      the folder that the script was called in
#   arguments   what it was called with, but for --no-install, which may stand anywhere; what follows -- is left as it is
#   install     --no-install, or nothing
#
# The working directory is the root of the checkout from here on, also when the script was called
# through a symbolic link. --help prints the comment that the script begins with and ends there:
# nothing is built or installed.

script=$(readlink -f -- "${BASH_SOURCE[1]}")
name=scripts/${script##*/}
caller=$PWD
unset CDPATH  # cd would look there first
cd -P -- "${script%/*}/.."
root=$PWD
source scripts/packages.sh

complain() {
  echo "$name: $*" >&2
}

print_help() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$script"
}

# take_arguments [--all-but-help] ARGUMENT...
take_arguments() {
  local with_help=yes word
  if [[ ${1:-} == --all-but-help ]]; then
    with_help=no
    shift
  fi
  arguments=() install=()
  while (($#)); do
    word=$1
    shift
    case $word in
      --no-install) install=(--no-install) ;;
      --help | -h)
        if [[ $with_help == yes ]]; then
          print_help
          exit 0
        fi
        arguments+=("$word")
        ;;
      --)
        arguments+=("$@")
        return
        ;;
      *) arguments+=("$word") ;;
    esac
  done
}

# relative_to_caller OPTION...: makes the paths that follow these options in `arguments` absolute.
relative_to_caller() {
  local at option word
  for at in "${!arguments[@]}"; do
    word=${arguments[at]}
    for option in "$@"; do
      if [[ $word == "$option"=[!/]* ]]; then
        arguments[at]=$option=$caller/${word#*=}
      elif ((at > 0)) && [[ ${arguments[at - 1]} == "$option" && $word == [!/]* ]]; then
        arguments[at]=$caller/$word
      fi
    done
  done
}

# one_at_a_time FOLDER: two that build in one folder at once would break each other's files. The
# second waits, and says so. Whoever holds it is the process whose number is in the file, with its
# children: the kernel lets go when the last has ended.
one_at_a_time() {
  mkdir -p -- "$1"
  if ! exec 9<>"$1/build.lock"; then
    complain "$1/build.lock cannot be opened"
    exit 1
  fi
  if ! flock --nonblock 9; then
    echo "$name: $1 is in use by another run (process $(cat "$1/build.lock")). Waiting for its end." >&2
    flock 9
  fi
  echo $$ >"$1/build.lock"
}

# Another run may build now.
next_may_build() {
  exec 9>&-
}

# build LOG COMMAND...: runs the command, its output in the log. Ends the script if it fails, or
# if there can be no log: what an earlier run has built is not what the sources say.
build() {
  local log=$1
  shift
  if ! : >"$log"; then
    complain "the log of the build cannot be written: $log"
    exit 1
  fi
  if ! "$@" >>"$log" 2>&1; then
    grep -nE 'error|Error' "$log" | head -n 40 >&2 || tail -n 40 "$log" >&2
    complain "the build failed; the whole log is $log"
    exit 1
  fi
}
