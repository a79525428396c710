#!/usr/bin/env bash
# Runs the lab's command, hands its output and its exit status out, and ends the lab.
# Output goes through a pipe (as it would outside: not a terminal, and no file that `> /dev/stderr` would empty) to a
# file of the share, which is written through: what was printed is outside even if the lab dies of the next line.
set -a
# shellcheck source=/dev/null
. /lab/job/settings
set +a
cd "$LAB_CWD" || cd /
command=(false)
# shellcheck source=/dev/null
. /lab/job/command

# Whoever runs the lab ends it where this stops.
(while :; do
  printf '%(%s)T\n' > /lab/job/alive
  sleep 5
done) &

end_lab() {
  echo "$1" > /lab/job/status
  sync
  echo b > /proc/sysrq-trigger
  read -r _ < /dev/zero # nobody may look at a process 1 that has ended: the kernel would panic
}

# With SELinux the command runs as a login of root's would, unconfined on a host that enforces. The way there is the one
# that systemd takes: from the kernel's domain one may only become init's.
if [ -e /sys/fs/selinux/enforce ]; then
  # Programs that compile as they run, Node among them, need execmem, which Debian's policy leaves to this boolean.
  echo 1 > /sys/fs/selinux/booleans/allow_execmem
  echo 1 > /sys/fs/selinux/commit_pending_bools
  echo 1 > /sys/fs/selinux/enforce
  # shellcheck disable=SC2016 # expanded by the shell that is started
  as_login='echo -n system_u:system_r:init_t:s0 > /proc/self/attr/current && exec runcon unconfined_u:unconfined_r:unconfined_t:s0 "$@"'
  command=(bash -c "$as_login" login "${command[@]}")
fi

if [ "${LAB_SHELL:-}" = 1 ]; then
  setsid -c "${command[@]}" < /dev/ttyS0 > /dev/ttyS0 2>&1
  end_lab $?
fi

exec {out}> >(exec cat > /lab/job/stdout)
out_relay=$!
exec {err}> >(exec cat > /lab/job/stderr)
err_relay=$!
"${command[@]}" < /dev/null >&"$out" 2>&"$err" {out}>&- {err}>&-
status=$?
exec {out}>&- {err}>&-

# What the command left running holds the pipes open: it gets a moment, then the end that a power cut would be.
relays_end_within() {
  local tenths
  for ((tenths = 0; tenths < $1 * 10; tenths++)); do
    kill -0 "$out_relay" "$err_relay" 2> /dev/null || return 0
    sleep 0.1
  done
  return 1
}
if ! relays_end_within 2; then
  for dir in /proc/[0-9]*; do
    pid=${dir#/proc/}
    case $pid in 1 | "$$" | "$out_relay" | "$err_relay") ;; *) kill -9 "$pid" 2> /dev/null ;; esac
  done
  relays_end_within 60
fi
end_lab "$status"
