# Sourced first by the scripts: where they are, what each of them takes, what a signal ends, one at
# a time.
#
#   caller      the folder that the script was called in
#   install     --no-install, or nothing; it may stand anywhere
#   arguments   what else the script was called with; of these,
#   words       what is no option, and
#   options     the options with their values
#
# The working directory is the root of the checkout from here on, also when the script was called
# through a symbolic link.

takes=() arguments=() words=() options=() install=()
script=$(readlink -f -- "${BASH_SOURCE[1]}")
name=scripts/${script##*/}
caller=$PWD
unset CDPATH  # cd would look there first
cd -P -- "${script%/*}/.."
root=$PWD
source scripts/lib/packages.sh

complain() {
  echo "$name: $*" >&2
}

# refuse WHAT: of a command line that cannot be meant so.
refuse() {
  complain "$*; $name --help says what there is"
  exit 2
}

# The comment that the script begins with.
print_help() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$script"
}

# -- What a script takes ---------------------------------------------------------------------------

# A script says in the array `takes` what it takes, a line for each option:
#
#   --gate              no value
#   --rounds 1..1000    a value: in a word of its own, or behind a =
#   -R,--name REGEX     two names of one option
#   --show-only =TEXT   a value behind a =, or none
#   1..100              a word that is no option; WORD... for any number of them
#
# The kinds of values are
#
#   1..100, 1..         a whole number
#   NUMBER              0.5
#   REGEX               a regular expression
#   a|b                 one of these
#   another word        any text but none; where there is a function value_WORD, it says what is
#                       wrong with the value, or nothing

is_kind() {  # VALUE KIND: whether it is one; else says what is expected
  local value=$1 kind=$2 status=0
  case $kind in
    *[0-9]..*)
      local least=${kind%..*} most=${kind#*..}
      [[ -z $most && $value =~ ^[1-9][0-9]{18,19}$ ]] && return  # more than is reckoned with here
      [[ $value =~ ^(0|[1-9][0-9]{0,17})$ ]] && ((value >= least)) && ((value <= ${most:-value})) &&
        return
      echo "a whole number from $least${most:+ to $most} is expected"
      ;;
    NUMBER)
      [[ $value =~ ^[0-9]{1,9}(\.[0-9]+)?$ ]] && return
      echo "a number is expected"
      ;;
    REGEX)
      [[ "" =~ $value ]] 2>/dev/null || status=$?
      [[ $status -ne 2 && -n $value ]] && return
      echo "a regular expression is expected"
      ;;
    *'|'*)
      [[ -n $value && "|$kind|" == *"|$value|"* ]] && return
      echo "one of ${kind//|/, } is expected"
      ;;
    *)
      if declare -F "value_$kind" >/dev/null; then
        local wrong
        wrong=$("value_$kind" "$value")
        [[ -z $wrong ]] && return
        echo "$wrong"
      else
        [[ -n $value ]] && return
        echo "$kind is expected"
      fi
      ;;
  esac
  return 1
}

# take_arguments ARGUMENT...: fills the arrays above, each value in a word of its own. Nothing has
# been built, installed or waited for: what is not understood ends the script here.
take_arguments() {
  local -A kind_of=()
  local line names option kind wrong word value word_kind= most=0
  for line in "${takes[@]}" --no-install -h,--help; do
    if [[ $line != -* ]]; then
      word_kind=${line%...} most=1
      [[ $line != *... ]] || most=-1
      continue
    fi
    names=${line%% *} kind=
    [[ $line == *' '* ]] && kind=${line#* }
    for option in ${names//,/ }; do
      kind_of[$option]=$kind
    done
  done
  arguments=() words=() options=() install=()
  while (($#)); do
    word=$1
    shift
    option=${word%%=*}
    # -j2
    if [[ $word =~ ^(-[A-Za-z])([0-9]+)$ && ${kind_of[${BASH_REMATCH[1]}]:-} == *[0-9]..* ]]; then
      option=${BASH_REMATCH[1]}
      set -- "${BASH_REMATCH[2]}" "$@"
      word=$option
    fi
    if [[ $word != -?* ]]; then
      ((most != 0)) || refuse "unknown argument '$word'"
      wrong=$(is_kind "$word" "$word_kind") || refuse "'$word': $wrong"
      most=$((most - 1))
      arguments+=("$word") words+=("$word")
      continue
    fi
    [[ -n ${kind_of[$option]+there} ]] || refuse "unknown option '$word'"
    kind=${kind_of[$option]}
    if [[ -z $kind || $kind == =* ]]; then
      if [[ $word == *=* ]]; then
        [[ -n $kind ]] || refuse "$option takes no value"
        wrong=$(is_kind "${word#*=}" "${kind#=}") || refuse "$word: $wrong"
      fi
      case $option in
        --no-install) install=(--no-install) ;;
        --help | -h)
          print_help
          exit 0
          ;;
        *) arguments+=("$word") options+=("$word") ;;
      esac
      continue
    fi
    if [[ $word == *=* ]]; then
      value=${word#*=}
    elif (($#)); then
      value=$1
      shift
    else
      refuse "$option: a value is expected after it"
    fi
    # It would be taken for an option by those who get it; and was one left out, it is one.
    [[ $value != -* ]] || refuse "$option: a value is expected after it, not '$value'"
    wrong=$(is_kind "$value" "$kind") || refuse "$option '$value': $wrong"
    arguments+=("$option" "$value") options+=("$option" "$value")
  done
}

# relative_to_caller OPTION...: makes the paths that follow these options in `arguments` absolute.
relative_to_caller() {
  local at option
  for ((at = 1; at < ${#arguments[@]}; ++at)); do
    for option in "$@"; do
      if [[ ${arguments[at - 1]} == "$option" && ${arguments[at]} == [!/]* ]]; then
        arguments[at]=$caller/${arguments[at]}
      fi
    done
  done
}

# -- What a signal ends ----------------------------------------------------------------------------

# The first signal that came to this script while it noticed signals; and the process group that
# each is handed on to, if there is one.
signalled= hand_on=
note_signal() {
  signalled=${signalled:-$1}
  [[ -z $hand_on ]] || kill -s "$1" -- "-$hand_on" 2>/dev/null || true
}

# wait_for PROCESS: returns its status, at its end.
wait_for() {
  local status
  while :; do
    status=0
    wait "$1" 2>/dev/null || status=$?
    kill -0 "$1" 2>/dev/null || return "$status"  # else a signal has ended the wait, and not it
  done
}

notice_signals() {
  trap 'note_signal HUP' HUP
  trap 'note_signal INT' INT
  trap 'note_signal TERM' TERM
}

# Ends as a signal that came meanwhile demands.
heed_signals() {
  trap - HUP INT TERM
  [[ -n $signalled ]] || return 0
  exit $((128 + $(kill -l "$signalled")))
}

# group_ends PROCESS: whether its process group is gone within three seconds.
group_ends() {
  local tenths
  for ((tenths = 0; tenths < 30; ++tenths)); do
    kill -0 -- "-$1" 2>/dev/null || return 0
    sleep 0.1
  done
  return 1
}

# run_whole COMMAND...: runs it as a process group, which a signal of this script ends as a whole:
# no compiler and no test is left behind.
run_whole() {
  local status=0 process
  signalled=
  notice_signals
  set -m  # a group of its own
  "$@" &
  process=$!
  set +m
  hand_on=$process
  [[ -z $signalled ]] || note_signal "$signalled"  # it came before there was a group
  wait_for "$process" || status=$?
  if [[ -n $signalled ]] && ! group_ends "$process"; then
    kill -KILL -- "-$process" 2>/dev/null || true  # what does not listen
    group_ends "$process" || true  # killed is not yet gone
  fi
  hand_on=
  heed_signals
  return "$status"
}

# run_undisturbed COMMAND...: runs it where no signal comes to it, and waits for its end before a
# signal of this script counts.
run_undisturbed() {
  local status=0
  signalled= hand_on=
  notice_signals
  setsid -- sh -c 'trap "" HUP INT TERM QUIT; exec "$@"' sh "$@" &
  wait_for $! || status=$?
  heed_signals
  return "$status"
}

# -- One at a time ---------------------------------------------------------------------------------

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
    complain "$1 is in use by another run (process $(cat "$1/build.lock")). Waiting for its end."
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
  if ! run_whole "$@" </dev/null >>"$log" 2>&1; then
    grep -nE 'error|Error' "$log" | head -n 40 >&2 || tail -n 40 "$log" >&2
    complain "the build failed; the whole log is $log"
    exit 1
  fi
}
