#!/bin/sh
# Process 1 of the lab: what a distribution's start-up would have done, as far as a host of microVMs needs it.
# shellcheck source=/dev/null
. /lab/job/settings
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock /dev/pts /dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t securityfs securityfs /sys/kernel/security
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -s /proc/self/fd /dev/fd
for name in stdin:0 stdout:1 stderr:2; do ln -s "/proc/self/fd/${name#*:}" "/dev/${name%:*}"; done
hostname lab
for module in kvm-amd tun vhost_vsock veth bridge nf_tables; do modprobe "$module"; done
ip link set lo up

if [ -n "${LAB_SYSTEMD:-}" ]; then
  mkdir -p /run/systemd/system
  : > /etc/fstab
  # Both would write to the machine's own trees, at length, for nothing.
  for unit in systemd-tmpfiles-setup.service systemd-journal-flush.service; do
    ln -s /dev/null "/run/systemd/system/$unit"
  done
  cp /lab/job/lab.service /run/systemd/system/
  exec /lib/systemd/systemd --unit=lab.service --show-status=false --log-level=err
fi
exec bash /lab/job/run.sh
