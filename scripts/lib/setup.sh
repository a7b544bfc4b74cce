# shellcheck shell=bash
# Brings a fresh checkout to the point where out/ can run: Node, system packages, npm packages, build. Sourced by the
# scripts beside it; every step is skipped when it is already done, and everything it says goes to stderr.
# It must not start the terminal, touch data/, or change anything outside the checkout but Debian packages.
#
#   shouli_setup [PACKAGE...]   all four steps, with these Debian packages besides those that every run needs
#                               (exit 3 when a person has to install something first)
#   shouli_use_node             only find Node, for wrappers that run what is already built

SHOULI_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Where the commands keep everything, wherever they are called from.
export SHOULI_DATA=${SHOULI_DATA:-$SHOULI_ROOT/data}
SHOULI_LOCAL=$SHOULI_ROOT/.node
SHOULI_NODE_MIN_MAJOR=20
SHOULI_NODE_MIN_MINOR=19
# Used only where neither PATH nor the distribution has a Node that is new enough.
SHOULI_NODE_PACKAGE_VERSION=22.23.3
SHOULI_NPM_PACKAGE_VERSION=11.19.1
SHOULI_PACKAGES='build-essential python3 libpcsclite-dev libudev-dev libusb-1.0-0 pcscd libccid'
# The simulated set. Not for a box with a reader: vsmartcard-vpcd lets the network play a card (hardware.md).
SHOULI_SIMULATED_PACKAGES='vsmartcard-vpcd socat iproute2'
# What tests look with: flushes are counted, devices are feigned, the members' pages are opened in a browser.
SHOULI_TEST_PACKAGES="$SHOULI_SIMULATED_PACKAGES strace umockdev chromium fonts-wqy-microhei"
# Devices in a virtual machine (npm run rig).
if [ "$(uname -m)" = x86_64 ]; then SHOULI_TEST_PACKAGES="$SHOULI_TEST_PACKAGES qemu-system-x86"; fi
SHOULI_MARKER=$SHOULI_ROOT/node_modules/.shouli-lock
SHOULI_SOURCES='terminal drivers host-sync config scripts package.json tsconfig.json'
SHOULI_CHILD=
# Set while a step must not be cut off: a package manager killed half-way needs repair by hand.
SHOULI_UNBREAKABLE=

_say() { printf '%s\n' "$*" >&2; }
_step() { _say "[$1/4] $2"; }
_fail() {
  _say "setup: $1"
  exit "${2:-1}"
}

# Ends the running step for certain before the setup lock is let go: npm takes its time over a SIGTERM.
_stop_child() {
  local waited=0
  trap '' INT TERM HUP
  _say ''
  if [ -n "$SHOULI_CHILD" ] && [ -n "$SHOULI_UNBREAKABLE" ]; then
    _say 'setup: finishing the installation of packages before stopping'
    wait "$SHOULI_CHILD"
  elif [ -n "$SHOULI_CHILD" ]; then
    # The child has a process group of its own, so that compilers it started end with it.
    kill -TERM -- "-$SHOULI_CHILD" 2>/dev/null
    while kill -0 -- "-$SHOULI_CHILD" 2>/dev/null && [ "$waited" -lt 20 ]; do
      sleep 0.1
      waited=$((waited + 1))
    done
    kill -KILL -- "-$SHOULI_CHILD" 2>/dev/null
    wait "$SHOULI_CHILD" 2>/dev/null
  fi
  _say 'setup: interrupted; run the same command again to continue'
  exit 130
}

# _watched WHAT LOG COMMAND...: runs the command with its output in LOG, and shows that it is alive.
_watched() {
  local what=$1 log=$2 started=$SECONDS status turn=0 frames='-\|/' elapsed
  shift 2
  mkdir -p "$(dirname "$log")"
  # 9 is the setup lock: a daemon that a package starts must not inherit it.
  set -m
  "$@" >"$log" 2>&1 </dev/null 9>&- &
  SHOULI_CHILD=$!
  set +m
  trap _stop_child INT TERM HUP
  while kill -0 "$SHOULI_CHILD" 2>/dev/null; do
    elapsed=$((SECONDS - started))
    if [ -t 2 ]; then
      printf '\r      %s %s, %d s (log: %s) ' "${frames:turn++%4:1}" "$what" "$elapsed" "${log#"$SHOULI_ROOT"/}" >&2
      sleep 0.2
    else
      if [ "$turn" -le "$elapsed" ]; then
        _say "      $what, $elapsed s (log: ${log#"$SHOULI_ROOT"/})"
        turn=$((elapsed + 15))
      fi
      sleep 0.5
    fi
  done
  wait "$SHOULI_CHILD"
  status=$?
  SHOULI_CHILD=
  trap - INT TERM HUP
  [ -t 2 ] && printf '\r\033[K' >&2
  if [ "$status" -ne 0 ]; then
    _say "      $what failed (exit $status). The last lines of ${log#"$SHOULI_ROOT"/}:"
    tail -n 25 "$log" | sed 's/^/      | /' >&2
  fi
  return "$status"
}

# ---- Node ----

# True for "20.19.0" and later; tolerates a leading v, an epoch and a Debian revision.
_new_enough() {
  local version=${1#v} major minor
  version=${version#*:}
  major=${version%%.*}
  minor=${version#*.}
  minor=${minor%%.*}
  case $major$minor in '' | *[!0-9]*) return 1 ;; esac
  [ "$major" -gt "$SHOULI_NODE_MIN_MAJOR" ] ||
    { [ "$major" -eq "$SHOULI_NODE_MIN_MAJOR" ] && [ "$minor" -ge "$SHOULI_NODE_MIN_MINOR" ]; }
}

_node_version() { command -v node >/dev/null 2>&1 && node --version 2>/dev/null; }
_node_ok() { command -v npm >/dev/null 2>&1 && _new_enough "$(_node_version)"; }

_node_architecture() {
  case $(uname -m) in
    x86_64) echo x64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) return 1 ;;
  esac
}

_prefer_local_node() {
  local architecture folder
  architecture=$(_node_architecture) || return 1
  folder=$SHOULI_LOCAL/node_modules/node-linux-$architecture
  [ -x "$folder/bin/node" ] || return 1
  # Headers come with it, so add-ons compile without a download.
  export PATH="$folder/bin:$SHOULI_LOCAL/node_modules/.bin:$PATH" npm_config_nodedir="$folder"
}

# Add-ons compile against the headers beside this Node where they exist; otherwise node-gyp would download them.
_use_node_headers() {
  local prefix
  [ -z "${npm_config_nodedir:-}" ] || return 0
  prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
  if [ -f "$prefix/include/node/node.h" ]; then export npm_config_nodedir="$prefix"; fi
}

shouli_use_node() {
  if _node_ok || { _prefer_local_node && _node_ok; }; then
    _use_node_headers
    return 0
  fi
  return 1
}

_can_install() { command -v apt-get >/dev/null 2>&1 && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }; }
_as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi; }

_distribution_node() {
  command -v apt-cache >/dev/null 2>&1 || return 1
  LC_ALL=C apt-cache policy nodejs 2>/dev/null | sed -n 's/^ *Candidate: //p'
}

_ensure_node() {
  local architecture candidate
  if shouli_use_node; then
    _step 1 "Node $(_node_version) ok"
    return 0
  fi
  _step 1 "Node $SHOULI_NODE_MIN_MAJOR.$SHOULI_NODE_MIN_MINOR or later is needed; found: $(_node_version || echo none)"
  candidate=$(_distribution_node)
  if [ -z "$candidate" ] || [ "$candidate" = '(none)' ]; then
    # A machine whose package lists were never fetched offers no candidate at all.
    if _can_install && _apt_update; then candidate=$(_distribution_node); fi
  fi
  if _new_enough "$candidate"; then
    _install_packages nodejs npm
    hash -r
  elif architecture=$(_node_architecture); then
    command -v npm >/dev/null 2>&1 || _install_packages npm
    hash -r
    # In its own folder, with no project configuration: the npm at hand may be too old for this project's.
    (cd / && _watched 'fetching Node from the package registry' "$SHOULI_LOCAL/setup-node.log" \
      npm install --prefix "$SHOULI_LOCAL" --no-save --no-audit --no-fund --engine-strict=false \
      "node-linux-$architecture@$SHOULI_NODE_PACKAGE_VERSION" "npm@$SHOULI_NPM_PACKAGE_VERSION") || _no_node
    _prefer_local_node
    hash -r
  fi
  _node_ok || _no_node
  _use_node_headers
  _step 1 "Node $(_node_version) ok"
}

_no_node() {
  _fail "this machine has no Node $SHOULI_NODE_MIN_MAJOR.$SHOULI_NODE_MIN_MINOR or later, and none could be installed.
  Debian 13 and later:  sudo apt-get install nodejs npm
  elsewhere:            put Node $SHOULI_NODE_MIN_MAJOR.$SHOULI_NODE_MIN_MINOR or later, with npm, on PATH (https://nodejs.org)
  then run the same command again." 3
}

# ---- Debian packages ----

_missing_packages() {
  local package
  for package in "$@"; do
    # shellcheck disable=SC2016
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s ' "$package"
  done
}

_apt_update() {
  _watched 'reading package lists' "$SHOULI_LOCAL/setup-apt-update.log" _as_root apt-get update
}

# The one command for a person, with sudo where it is there.
_install_command() {
  local command="apt-get update && apt-get install -y --no-install-recommends $*"
  if [ "$(id -u)" -eq 0 ]; then
    echo "$command"
  elif command -v sudo >/dev/null 2>&1; then
    echo "sudo sh -c '$command'"
  else
    echo "su - -c '$command'"
  fi
}

_install_packages() {
  local policy=/usr/sbin/policy-rc.d blocked='' status
  if ! _can_install; then
    _fail "these Debian packages are missing: $*
  Run this one command, then the same command again:
    $(_install_command "$@")" 3
  fi
  # Old lists may still do, so a failed update is not the end.
  _apt_update || true
  # Without systemd there is nothing that could start pcscd, and trying must not fail the installation.
  if [ ! -d /run/systemd/system ] && [ ! -e "$policy" ]; then
    blocked=yes
    printf '#!/bin/sh\nexit 101\n' | _as_root tee "$policy" >/dev/null && _as_root chmod 755 "$policy"
    trap '_as_root rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  SHOULI_UNBREAKABLE=yes
  _watched "installing $*" "$SHOULI_LOCAL/setup-apt.log" _as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
  status=$?
  SHOULI_UNBREAKABLE=
  if [ -n "$blocked" ]; then
    _as_root rm -f "$policy"
    trap - EXIT
  fi
  [ "$status" -eq 0 ] || _fail "the packages could not be installed; try it by hand:
    $(_install_command "$@")" 3
}

_ensure_packages() {
  local missing
  if ! command -v dpkg-query >/dev/null 2>&1; then
    _step 2 "not a Debian system: nothing checked. Needed: a C++ compiler, python3, headers of pcsc-lite and libudev"
    return 0
  fi
  # shellcheck disable=SC2086
  missing=$(_missing_packages $SHOULI_PACKAGES "$@")
  if [ -n "$missing" ]; then
    _step 2 "system packages: missing: $missing"
    # shellcheck disable=SC2086
    _install_packages $missing
  fi
  _step 2 'system packages ok'
}

# True where a smart card reader (USB class 0b) is plugged in.
shouli_has_reader() { grep -qsx 0b /sys/bus/usb/devices/*/bInterfaceClass; }

# ---- npm packages and build ----

# What node_modules was made from: the lock file, and the Node whose add-ons were compiled.
_lock_identity() {
  printf '%s %s\n' "$(sha256sum <"$SHOULI_ROOT/package-lock.json" | cut -d' ' -f1)" \
    "$(node -p '`${process.versions.modules} ${process.platform}-${process.arch}`')"
}

_ensure_modules() {
  local wanted
  wanted=$(_lock_identity)
  if [ -f "$SHOULI_MARKER" ] && [ "$(cat "$SHOULI_MARKER")" = "$wanted" ]; then
    _step 3 'npm packages ok'
    return 0
  fi
  _step 3 'npm packages: installing (minutes, once: the database is compiled)'
  rm -f "$SHOULI_MARKER"
  _watched 'npm ci' "$SHOULI_LOCAL/setup-npm.log" npm ci --no-audit --no-fund --foreground-scripts ||
    _fail 'npm ci failed; the log above says why. Run the same command again once it is repaired.'
  printf '%s\n' "$wanted" >"$SHOULI_MARKER"
  _step 3 'npm packages ok'
}

_is_built() {
  local source
  [ -f out/.built ] || return 1
  for source in $SHOULI_SOURCES; do
    [ -e "$source" ] || continue
    [ -z "$(find "$source" -newer out/.built -print -quit)" ] || return 1
  done
}

_ensure_build() {
  if _is_built; then
    _step 4 'build ok'
    return 0
  fi
  _step 4 'build: compiling'
  if ! _watched 'npm run build' "$SHOULI_LOCAL/setup-build.log" npm run --silent build; then
    # The check reports a broken build as a failed stage, in full, and goes on with the others.
    [ "${SHOULI_BUILD_MAY_FAIL:-}" = yes ] && [ -f out/scripts/check.js ] && return 0
    _fail 'the build failed'
  fi
  _step 4 'build ok'
}

shouli_setup() {
  local caller=$PWD
  cd "$SHOULI_ROOT" || exit 1
  { mkdir -p "$SHOULI_LOCAL" && [ -w "$SHOULI_LOCAL" ] && [ -w . ]; } 2>/dev/null ||
    _fail "$(id -un) may not write in $SHOULI_ROOT; use the account that owns the checkout" 3
  if command -v flock >/dev/null 2>&1; then
    exec 9>"$SHOULI_LOCAL/setup.lock"
    if ! flock -n 9; then
      _say 'setup: another run is at it; waiting'
      flock 9
    fi
  fi
  _ensure_node
  _ensure_packages "$@"
  _ensure_modules
  _ensure_build
  # What is started next must not keep the lock, and reads paths as the caller wrote them.
  { exec 9>&-; } 2>/dev/null
  cd "$caller" || exit 1
}

# Runs a compiled script that setup has already built once.
shouli_run_built() {
  shouli_use_node || _fail 'no suitable Node found; run scripts/start once, it installs one' 3
  [ -f "$SHOULI_ROOT/out/scripts/$1.js" ] || _fail "out/scripts/$1.js is not built; run scripts/start once" 3
  exec node "$SHOULI_ROOT/out/scripts/$1.js" "${@:2}"
}

# shouli_help SCRIPT WHAT ARGUMENT...: the help of a script without preparing anything; that of a fresh checkout is short.
shouli_help() {
  if shouli_use_node && [ -f "$SHOULI_ROOT/out/scripts/$1.js" ]; then
    exec node "$SHOULI_ROOT/out/scripts/$1.js" "${@:3}"
  fi
  _say "$(basename "$0") prepares this checkout (Debian packages, npm packages, build), then $2."
  _say 'Its options can be listed once that is done: run it without --help first.'
  exit 0
}
