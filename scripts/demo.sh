#!/usr/bin/env bash
# demo.sh — the main job, shown step by step on the real Firecracker and jailer: this host is checked, a microVM is jailed,
# booted and proven, another one runs in the background until it is stopped in order, and nothing of them is left. Then
# Linux the same way: here where this host's KVM is fast enough, else in the lab. Safe to repeat; leaves nothing behind.
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."

# Where nothing newer can be had, an old release will do for a demonstration; Warder says so.
export WARDER_ALLOW_TEST_BINARIES=1

main() {
  work=$(mktemp -d /var/tmp/warder-demo.XXXXXX)
  trap clean_up EXIT
  export WARDER_STATE_DIR=$work/state WARDER_CHROOT_BASE=$work/jails WARDER_PARENT_CGROUP=warder-demo
  title "1. Can this host jail microVMs?"
  bin/warder doctor --probe | tee "$work/doctor"
  title "2. A microVM of a few KB: jailed, proven, booted"
  leftovers > "$work/before"
  bin/warder run --probe --proof --id demo
  title "3. One that stays, until it is stopped in order"
  show_stop
  title "4. What is left of them"
  show_nothing_left
  title "5. Linux, the same way"
  boot_linux
  echo
  echo "That was all of it, in $SECONDS s. Next: bin/warder --help, docs/ARCHITECTURE.md"
}

title() { printf '\n%s\n%s\n' "$1" "$(printf '%*s' ${#1} '' | tr ' ' '-')"; }

# A guest that ticks until it is ended. It hears no Ctrl-Alt-Del, so the next rung of the ladder ends it: SIGTERM.
show_stop() {
  show bin/warder run --detach --id demo-ticks --kernel guests/tick.elf
  show bin/warder ps
  show bin/warder logs --tail 3 demo-ticks
  show bin/warder stop --timeout 1 demo-ticks
  show bin/warder ps --all
}

# Shows a command line, and runs it.
show() {
  echo "\$ $*"
  "$@"
}

# Everything of a VM that could be left, looked for by other means than Warder's own.
leftovers() {
  find "$WARDER_CHROOT_BASE" -mindepth 2 -not -path '*/.warder-*' 2> /dev/null || true
  find /sys/fs/cgroup -mindepth 1 -maxdepth 4 -type d -path "*/$WARDER_PARENT_CGROUP/*" 2> /dev/null || true
  grep -F "$work" /proc/self/mounts || true
  pgrep -af -- "(--id|monitor) demo" || true
  ls /run/netns 2> /dev/null || true
}

show_nothing_left() {
  leftovers > "$work/after"
  if cmp -s "$work/before" "$work/after"; then
    echo "nothing: no process, no cgroup, no mount, no namespace, no file of its jail (looked for with find, pgrep and /proc)"
  else
    echo "LEFT BEHIND:"
    diff "$work/before" "$work/after" || true
    exit 1
  fi
}

boot_linux() {
  if [ ! -e lab/linux-guest.sh ]; then echo "there is no lab here"; exit 1; fi
  lab/linux-guest.sh "$work/guest"
  if grep -q 'kvm-speed.*fast' "$work/doctor"; then
    echo "This host's KVM is fast enough for Linux: it boots right here."
    scripts/demo-linux.sh "$work/guest"
  else
    echo "This host's KVM emulates instructions, too slow for Linux (see kvm-speed above): it boots in the lab,"
    echo "a throw-away Linux host with a KVM of its own and cgroup v2."
    with_clock "the lab" lab/lab.sh "$PWD/scripts/demo-linux.sh" "$work/guest"
  fi
}

# with_clock LABEL COMMAND… — runs a command that may be silent for long: on a terminal a clock goes on below its output.
with_clock() {
  local label=$1 status=0 output reader
  shift
  if ! [ -t 1 ]; then "$@"; return; fi
  exec {output}> >(show_with_clock "$label")
  reader=$!
  "$@" >&"$output" 2>&1 || status=$?
  exec {output}>&-
  wait "$reader"
  return "$status"
}

show_with_clock() {
  local started=$SECONDS line rest='' status
  while true; do
    status=0
    IFS= read -r -t 0.5 line || status=$?
    rest+=$line
    printf '\r\033[2K'
    if [ "$status" = 0 ]; then
      printf '%s\n' "$rest"
      rest=
    elif [ "$status" -gt 128 ]; then
      printf '%s … %d s' "$1" $((SECONDS - started))
    else
      break
    fi
  done
  printf '%s' "$rest"
}

clean_up() {
  rm -rf "$work"
  find /sys/fs/cgroup -maxdepth 2 -depth -type d -name "$WARDER_PARENT_CGROUP" -exec rmdir {} + 2> /dev/null || true
}

main "$@"
