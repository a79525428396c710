#!/usr/bin/env bash
# setup.sh — brings this machine and this checkout to where Warder, its tests and its demo run. Safe to repeat; says
# nothing where there is nothing to do. It installs Debian packages that are missing, the npm packages of the lock file
# (among them the project's own Node), the lab's kernel (into a cache), and Firecracker with its jailer.
set -euo pipefail
root=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/..
cd "$root"

packages=(
  qemu-system-x86 seabios busybox-static kmod cpio xz-utils # the lab
  gcc libc6-dev binutils python3                            # the tiny guests, the benchmark's floor
  iproute2 nftables                                         # what Warder drives
  containernetworking-plugins                               # the tests of CNI networks
  protobuf-compiler-grpc python3-grpcio python3-protobuf    # a client of the daemon that is not ours
  ca-certificates curl                                      # downloads
)
grpcurl=github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3
least_node_for_npm=20
least_node=24

main() {
  check_machine
  one_at_a_time
  install_packages
  install_npm_packages
  check_node
  fetch_lab_kernel
  install_firecracker
  install_grpcurl
}

check_machine() {
  [ "$(uname -s) $(uname -m)" = "Linux x86_64" ] ||
    die "this is $(uname -s) on $(uname -m), and Firecracker is built for Linux on x86_64 here" "use an x86-64 Linux machine"
  [ "$(id -u)" = 0 ] ||
    die "this needs root: it installs packages, and a jail is made by root alone" "sudo make ${MAKECMDGOALS:-setup}"
  if ! command -v apt-get > /dev/null || ! command -v dpkg-query > /dev/null; then
    die "this is no Debian: there is no apt-get" "use Debian 12 or newer, for example in a container"
  fi
  if ! node_is_at_least node "$least_node_for_npm" || ! command -v npm > /dev/null; then
    die "Node.js $least_node_for_npm or newer with npm is needed, and here is ${node_version:-none}" \
      "install Node.js $least_node or newer"
  fi
}

# Two set-ups at once would get into each other's way: the second waits for the first, and then finds all done.
one_at_a_time() {
  exec 9< "${BASH_SOURCE[0]}"
  flock 9
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  [ "${#missing[@]}" -gt 0 ] || return 0
  step "installing ${missing[*]}" install_debs "${missing[@]}" ||
    die "apt-get could not install ${missing[*]} (its last words above)" "look at the network and at apt's sources"
}

missing_packages() {
  comm -23 <(printf '%s\n' "${packages[@]}" | sort) <(
    # shellcheck disable=SC2016 # dpkg-query's variables
    { dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${packages[@]}" 2> /dev/null || true; } |
      awk '$2 == "installed" { print $1 }' | sort
  )
}

# The package lists are fetched anew only where those here do not lead to the packages.
install_debs() {
  local install=(apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3
    install --no-install-recommends "$@")
  export DEBIAN_FRONTEND=noninteractive
  "${install[@]}" || { apt-get -q -o Acquire::Retries=3 update && "${install[@]}"; }
}

install_npm_packages() {
  local installed=node_modules/.package-lock.json
  if [ -e "$installed" ] && ! [ package-lock.json -nt "$installed" ]; then return 0; fi
  step "installing npm packages" npm ci --no-audit --no-fund ||
    die "npm could not install the packages of package-lock.json (its last words above)" "look at the network and at \`npm config list\`"
}

# The package `node` brings Node by a script that npm runs at its installation, where npm is allowed to.
check_node() {
  node_is_at_least node_modules/.bin/node "$least_node" || node_is_at_least node "$least_node" ||
    die "there is no Node.js $least_node: the machine's is ${node_version:-none}, and npm did not run the script of the package \`node\`" \
      "\`npm config set ignore-scripts false && rm -r node_modules\`, or install Node.js $least_node yourself; then again"
}

# node_is_at_least PROGRAM MAJOR. Leaves its version in $node_version.
node_is_at_least() {
  node_version=$("$1" --version 2> /dev/null) || node_version=
  local major=${node_version#v}
  [ "${major%%.*}" -ge "$2" ] 2> /dev/null
}

# All but the lab works without it, so a machine that cannot have it is told, and set up as far as it can be.
fetch_lab_kernel() {
  lab/kernel.sh --is-cached && return
  step "fetching a kernel for the lab" fetch_kernel || warn "there is no kernel for the lab: the tests in it will be skipped"
}

fetch_kernel() {
  lab/kernel.sh || { apt-get -q -o Acquire::Retries=3 update && lab/kernel.sh; }
}

# The tests and the demo content themselves with a release that upstream no longer supports, where no other can be had.
install_firecracker() {
  local found
  found=$(bin/warder setup --allow-test-binaries) || die "Firecracker could not be installed (see above)"
  grep -qE '^source +(configured|path|cache):' <<< "$found" || echo "$found"
}

# Debian has no package of it. Its one test is skipped without it, so a machine without Go is as good.
install_grpcurl() {
  local tools=${WARDER_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/warder}/tools
  if command -v grpcurl > /dev/null || [ -x "$tools/grpcurl" ] || ! command -v go > /dev/null; then return 0; fi
  step "making grpcurl" env GOBIN="$tools" go install "$grpcurl" ||
    warn "there is no grpcurl: the test with it will be skipped"
}

# step LABEL COMMAND… — runs a command that may take long: on a terminal with a clock, in a pipe with a line before and
# after. Its own output is shown only if it fails.
step() {
  local label=$1 started=$SECONDS log pid status=0
  shift
  log=$(mktemp -t warder-setup.XXXXXX)
  # In a process group of its own, so that a signal can end all of it.
  set -m
  "$@" > "$log" 2>&1 < /dev/null 9<&- &
  pid=$!
  set +m
  # shellcheck disable=SC2064 # the values of now
  trap "end_step $pid '$log'" INT TERM HUP
  if [ -t 2 ]; then tick "$label" "$pid"; else say "$label"; fi
  wait "$pid" || status=$?
  trap - INT TERM HUP
  [ "$status" = 0 ] || tail -n 20 "$log" >&2
  rm -f "$log"
  say "$label: $([ "$status" = 0 ] && echo "done" || echo FAILED) after $((SECONDS - started)) s"
  return "$status"
}

# As Ctrl-C would: dpkg leaves no package half installed after it. What does not listen has two seconds.
end_step() {
  kill -INT -- "-$1" 2> /dev/null
  for _ in {1..20}; do
    kill -0 -- "-$1" 2> /dev/null || break
    sleep 0.1
  done
  kill -KILL -- "-$1" 2> /dev/null
  wait "$1" 2> /dev/null || true
  rm -f "$2"
  exit 130
}

tick() {
  local started=$SECONDS
  while kill -0 "$2" 2> /dev/null; do
    printf '\r\033[2Ksetup: %s … %d s' "$1" $((SECONDS - started)) >&2
    sleep 0.2
  done
  printf '\r\033[2K' >&2
}

say() { echo "setup: $*" >&2; }
warn() { say "warning: $*"; }

# die CAUSE [CURE]
die() {
  say "$1"
  [ $# -lt 2 ] || say "to mend it: $2"
  exit 1
}

main "$@"
