# Sourced by prologue.sh: makes sure that Debian packages are there.
#
#   need_packages [--no-install] PACKAGE...
#
# Prints what is missing and installs it, as root or with sudo. Without either, on other systems, or
# with --no-install, it names what is missing and exits with status 3.

need_packages() {
  local install=yes
  if [[ ${1:-} == --no-install ]]; then
    install=no
    shift
  fi
  if ! command -v dpkg-query >/dev/null; then
    echo "This system has no dpkg. Please install by hand what Debian calls: $*" >&2
    echo "then configure and build with CMake as docs/building.md says." >&2
    exit 3
  fi
  local package missing=()
  for package in "$@"; do
    if [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then
      missing+=("$package")
    fi
  done
  if [[ ${#missing[@]} -eq 0 ]]; then
    return
  fi
  echo "Missing Debian packages: ${missing[*]}"
  local as_root=()
  if [[ $EUID -ne 0 ]]; then
    as_root=(sudo)
  fi
  if [[ $install == no ]]; then
    echo "Not installing them, as asked (--no-install)." >&2
    exit 3
  fi
  if [[ $EUID -ne 0 ]] && ! command -v sudo >/dev/null; then
    echo "Neither root nor sudo is at hand. Please have them installed:" \
      "apt-get install ${missing[*]}" >&2
    exit 3
  fi
  echo "Installing them with apt-get."
  if [[ $EUID -ne 0 ]]; then
    sudo --validate  # it may ask for a password, and a signal may end that
  fi
  local log
  log=$(mktemp)
  # Another apt-get may be at work: it is waited for. A signal would leave dpkg half done.
  if ! { run_undisturbed "${as_root[@]}" apt-get update -qq &&
    run_undisturbed "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get \
      -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends "${missing[@]}"; } \
    >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    rm -f "$log"
    echo "apt-get failed (above)." >&2
    exit 3
  fi
  rm -f "$log"
}
