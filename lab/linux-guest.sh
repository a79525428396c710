#!/usr/bin/env bash
# linux-guest.sh — builds a Linux guest for Firecracker out of Debian's own packages: OUT/vmlinux and OUT/initrd.
#
#   usage: linux-guest.sh OUT [INIT]
#
# The guest: busybox at /bin/busybox, modules for virtio block, net, rng, balloon and vsock and for ext4, loaded. INIT is
# a shell script run as its process 1 once these are there (default: guest-init.sh beside this script, whose head says
# what it does). Boot it with at least 128 MiB and
#   console=ttyS0 reboot=k panic=-1 quiet tsc=reliable no_timer_check mitigations=off
# and end the guest with `reboot -f`.
#
# Settings: LAB_CACHE, LAB_VERBOSE=1
# Needs (apt): busybox-static kmod cpio xz-utils
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=kernel.sh
. "$here/kernel.sh"

main() {
  out=${1:-}
  init=${2:-$here/guest-init.sh}
  [ -n "$out" ] || { echo "usage: linux-guest.sh OUT [INIT]" >&2; exit 125; }
  [ -f "$init" ] || lab_die "there is no file $init to be the guest's init"
  lab_need "busybox-static kmod cpio" busybox cpio
  kernel=$(lab_kernel)
  mkdir -p "$out"
  work=$(mktemp -d "$out/.build.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM HUP
  # A copy, since what goes into a jail changes its owner. Both appear whole or not at all.
  cp --reflink=auto "$kernel/vmlinux" "$work/vmlinux"
  make_initrd
  mv "$work/vmlinux" "$work/initrd" "$out/"
}

make_initrd() {
  local tree=$work/tree
  mkdir -p "$tree"/{bin,dev,proc,sys,modules,tmp,mnt}
  cp "$(command -v busybox)" "$tree/bin/busybox"
  lab_modules "$kernel" "$tree/modules" \
    virtio_mmio virtio_blk virtio_net virtio_rng virtio_balloon vmw_vsock_virtio_transport ext4
  install -m 755 "$init" "$tree/main"
  cat > "$tree/init" << 'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod "$module"; done
. /main
INIT
  chmod 755 "$tree/init"
  (cd "$tree" && find . | cpio -o -H newc --quiet) > "$work/initrd"
}

main "$@"
