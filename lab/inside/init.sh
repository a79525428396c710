#!/bin/busybox sh
# shellcheck shell=dash
# The initrd's /init: from an empty memory disk to a copy-on-write view of the machine outside, whose root is the
# read-only lower layer. All that is written lies in memory and ends with the lab.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod "$module"; done

# share TAG WHERE OPTIONS [SELINUX TYPE]
share() {
  options=trans=virtio,version=9p2000.L,msize=512000,$3
  [ -z "$label" ] || options=$options,context=system_u:object_r:$4:s0
  mount -t 9p -o "$options" "$1" "$2"
}
label=
share root /lower ro,cache=loose bin_t

# A file gets its SELinux label when its file system is mounted, by the policy of that time: so the policy comes first,
# and what the machine outside lends gets one label, with which it can be read and run.
if grep -q 'lsm=[^ ]*selinux' /proc/cmdline; then
  mount -t selinuxfs selinuxfs /sys/fs/selinux
  set -- /lower/etc/selinux/default/policy/policy.*
  dd if="$1" of=/sys/fs/selinux/load bs=64M iflag=fullblock 2> /dev/null
  umount /lower
  label=1
  share root /lower ro,cache=loose bin_t
fi

mount -t tmpfs tmpfs /rw
mkdir -p /rw/up/proc /rw/up/sys /rw/up/dev /rw/up/run /rw/up/lab/job /rw/up/lab/out /rw/work
mount -t overlay -o lowerdir=/lower,upperdir=/rw/up,workdir=/rw/work overlay /new
for dir in proc sys dev; do mount --move "/$dir" "/new/$dir"; done
mkdir -p "/new/lib/modules/$(uname -r)"
share modules "/new/lib/modules/$(uname -r)" ro,cache=loose modules_object_t
share job /new/lab/job rw bin_t
share out /new/lab/out rw bin_t
exec switch_root /new /bin/sh /lab/job/boot.sh
