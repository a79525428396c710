#!/usr/bin/env bash
# lab.sh — boots a throw-away Linux host with nested KVM, cgroup v2 and AppArmor or SELinux, and runs a command in it as
# root. Works on any x86-64 Debian machine and needs no KVM itself. See README.md beside it.
#
#   usage: lab.sh COMMAND [ARG...]      (a file that is not executable is run by bash)
#          lab.sh --shell               an interactive shell in the lab; `exit` ends both
#
# How: QEMU (emulating an AMD processor with SVM) boots Debian's own kernel; the machine's root file system, read-only,
# is its lower layer over 9p and memory the upper one: all that is installed outside is there inside, and nothing that
# is done inside is left behind, except what COMMAND writes to /lab/out, which is $LAB_OUT outside.
#
# Settings: LAB_OUT LAB_MEM (MiB) LAB_CPUS LAB_TIMEOUT (s, 0: none) LAB_LSM (apparmor|selinux) LAB_SYSTEMD=1 (systemd is
# process 1) LAB_VERBOSE=1 LAB_CACHE. HOME, XDG_CACHE_HOME and all WARDER_… are inside what they are outside.
# Exit status: COMMAND's own; 124 when LAB_TIMEOUT ran out; 125 when the lab itself failed.
# Output: COMMAND's, its stdout and stderr apart; the lab's own lines go to stderr, progress only to a terminal.
# Needs (apt): qemu-system-x86 seabios busybox-static kmod cpio xz-utils
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=kernel.sh
. "$here/kernel.sh"

memory_mib=${LAB_MEM:-6144}
cpus=${LAB_CPUS:-1}
timeout_s=${LAB_TIMEOUT:-600}
lsm=${LAB_LSM:-apparmor}
# An emulated machine may hang for good, and says nothing then.
readonly SILENCE_S=180

main() {
  parse_command "$@"
  check_settings
  lab_need "qemu-system-x86 seabios busybox-static kmod cpio xz-utils" qemu-system-x86_64 busybox cpio
  kernel=$(lab_kernel)
  release=$(cat "$kernel/release")
  prepare_work_directory
  make_initrd
  make_job
  boot
  relay_output
  watch_heart
  finish
}

parse_command() {
  shell=
  command=("$@")
  case ${1:-} in
    --shell)
      if ! [ -t 0 ] || ! [ -t 1 ]; then lab_die "--shell needs a terminal" "run a command instead: lab.sh COMMAND"; fi
      shell=1
      command=(bash -c 'stty sane; exec bash')
      timeout_s=${LAB_TIMEOUT:-0} ;;
    "" | -*)
      sed -n '/^# *usage:/,/^#$/{s/^# \{0,3\}//p;/^$/q}' "${BASH_SOURCE[0]}" >&2
      exit 125 ;;
    *)
      if [ -f "$1" ] && [ ! -x "$1" ]; then command=(bash "$(realpath "$1")" "${@:2}"); fi
      if [ -f "$1" ] && [ -x "$1" ]; then command=("$(realpath "$1")" "${@:2}"); fi ;;
  esac
}

check_settings() {
  local value
  for value in "LAB_MEM=$memory_mib" "LAB_CPUS=$cpus" "LAB_TIMEOUT=$timeout_s"; do
    [[ ${value#*=} =~ ^[0-9]+$ ]] || lab_die "$value is not a whole number"
  done
  case $lsm in apparmor | selinux) ;; *) lab_die "LAB_LSM=$lsm is neither apparmor nor selinux" ;; esac
  if [ "$lsm" = selinux ] && ! compgen -G "/etc/selinux/default/policy/policy.*" > /dev/null; then
    lab_die "LAB_LSM=selinux and there is no SELinux policy on this machine" \
      "apt-get install selinux-policy-default policycoreutils selinux-utils (changes nothing on a host without SELinux)"
  fi
  if [ "$lsm" = selinux ] && [ -n "${LAB_SYSTEMD:-}" ]; then
    lab_die "LAB_LSM=selinux and LAB_SYSTEMD together are not supported: no file here has the labels systemd expects"
  fi
  if [ -n "${LAB_SYSTEMD:-}" ] && [ ! -x /lib/systemd/systemd ]; then
    lab_die "LAB_SYSTEMD is set and systemd is not installed" "apt-get install systemd dbus"
  fi
}

# All that must not outlive this script: the directory, and the processes started from here.
prepare_work_directory() {
  work=$(mktemp -d -t warder-lab.XXXXXX)
  out=${LAB_OUT:-$work/out}
  mkdir -p "$out" "$work/job"
  out=$(realpath "$out")
  qemu_pid=
  watch_pid=
  relay_pids=()
  trap clean_up EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# shellcheck disable=SC2317 # reached by the trap
clean_up() {
  trap - EXIT
  if [ -n "$qemu_pid" ]; then
    kill "$qemu_pid" $watch_pid "${relay_pids[@]}" 2> /dev/null || true
    wait
  fi
  rm -rf "$work"
}

# Busybox and the modules that reach the root share: all else is found there.
make_initrd() {
  local tree=$work/initrd.d
  mkdir -p "$tree"/{bin,dev,proc,sys,modules,lower,rw,new}
  cp "$(command -v busybox)" "$tree/bin/busybox"
  install -m 755 "$here/inside/init.sh" "$tree/init"
  lab_modules "$kernel" "$tree/modules" virtio_pci 9pnet_virtio 9p overlay
  (cd "$tree" && find . | cpio -o -H newc --quiet) > "$work/initrd"
  rm -r "$tree"
}

# What the lab's process 1 reads.
make_job() {
  cp "$here"/inside/{boot.sh,run.sh,lab.service} "$work/job/"
  : > "$work/job/stdout"
  : > "$work/job/stderr"
  declare -p command > "$work/job/command"
  {
    printf 'LAB=1 LAB_SHELL=%q LAB_LSM=%q LAB_SYSTEMD=%q\n' "$shell" "$lsm" "${LAB_SYSTEMD:-}"
    printf 'LAB_CWD=%q LAB_CACHE=%q\n' "$PWD" "$LAB_CACHE"
    printf 'PATH=%q\n' "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH"
    local name
    for name in HOME $(compgen -e | grep -E '^(XDG_CACHE_HOME$|WARDER_)'); do printf '%s=%q\n' "$name" "${!name:-}"; done
  } > "$work/job/settings"
}

boot() {
  local console=(-serial "file:$work/console") loglevel=4 arguments=()
  [ -z "$shell" ] || console=(-chardev "stdio,id=tty,signal=off" -serial chardev:tty)
  [ "${LAB_VERBOSE:-}" != 1 ] || loglevel=7
  exec 3< /dev/null
  [ -z "$shell" ] || exec 3<&0
  share root / ,readonly=on
  share modules "$kernel/lib/modules/$release" ,readonly=on
  share job "$work/job" ""
  share out "$out" ""
  lab_say "booting Linux $release ($lsm${LAB_SYSTEMD:+, systemd})"
  # QEMU goes when this script goes, even if that is killed.
  setpriv --pdeathsig TERM timeout --foreground -k 5 "$timeout_s" \
    qemu-system-x86_64 -M pc -accel tcg,tb-size=1024 -cpu EPYC,+svm,+npt -smp "$cpus" -m "$memory_mib" \
    -nodefaults -display none -vga none -monitor none -no-reboot "${console[@]}" "${arguments[@]}" \
    -kernel "$kernel/vmlinux" -initrd "$work/initrd" \
    -append "console=ttyS0 panic=-1 loglevel=$loglevel mitigations=off lsm=landlock,yama,$lsm,bpf apparmor=1 selinux=1" \
    <&3 2> "$work/qemu.err" &
  qemu_pid=$!
}

# share NAME PATH OPTIONS: a directory of this machine for the lab. A comma in a path is doubled, for QEMU.
share() {
  arguments+=(-fsdev "local,id=$1,path=${2//,/,,},security_model=none,multidevs=remap$3")
  arguments+=(-device "virtio-9p-pci,fsdev=$1,mount_tag=$1")
}

# The output is followed in the files of the share, and read to its end before anything ends here.
relay_output() {
  tail -q -s 0.1 -c +1 -f --pid="$qemu_pid" "$work/job/stdout" &
  relay_pids+=($!)
  tail -q -s 0.1 -c +1 -f --pid="$qemu_pid" "$work/job/stderr" >&2 &
  relay_pids+=($!)
}

# The lab tells all the time that it lives (inside/run.sh); where it does not, it is ended.
watch_heart() {
  (
    told='' silent=0
    while [ "$silent" -lt "$SILENCE_S" ]; do
      sleep 5
      kill -0 "$qemu_pid" || exit 0
      now=$(cat "$work/job/alive" 2> /dev/null || true)
      if [ "$now" = "$told" ]; then silent=$((silent + 5)); else silent=0; fi
      told=$now
    done
    : > "$work/hangs"
    kill "$qemu_pid"
  ) > /dev/null 2>&1 &
  watch_pid=$!
}

finish() {
  local status=0
  wait "$qemu_pid" || status=$?
  wait "${relay_pids[@]}" || true
  { kill "$watch_pid" && wait "$watch_pid"; } 2> /dev/null || true
  qemu_pid=
  [ "$status" != 124 ] || { echo "lab: no end within $timeout_s s" >&2; exit 124; }
  if [ -e "$work/hangs" ]; then
    tail -n 30 "$work/console" >&2
    lab_die "the host hung: no sign of life for $SILENCE_S s (its last words above)"
  fi
  if [ ! -s "$work/job/status" ]; then
    { grep -v "TCG doesn't support" "$work/qemu.err" || true; tail -n 30 "$work/console" 2> /dev/null || true; } >&2
    lab_die "the host went down before the command ended (QEMU's status: $status; its last words above)"
  fi
  lab_say "ended with status $(cat "$work/job/status")"
  exit "$(cat "$work/job/status")"
}

main "$@"
