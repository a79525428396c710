#!/usr/bin/env bash
# kernel.sh — Debian's own kernel for the lab and its guests: downloaded by apt, unpacked into the cache, never installed.
#
#   usage: kernel.sh               print the directory that holds it (fetched first, where there is none yet)
#          kernel.sh --is-cached   only tell by the exit status if there is one
#          . kernel.sh             the functions below, for lab.sh and linux-guest.sh
#
# The directory: boot/vmlinuz-RELEASE, vmlinux (the same, as an ELF file), lib/modules/RELEASE, release (its name).
# A kernel that is in the cache is used as it is: to get a newer one, remove the cache.
#
# Settings: LAB_CACHE (default ${XDG_CACHE_HOME:-$HOME/.cache}/warder/lab), LAB_VERBOSE=1 (say what is done)
# Needs (apt): kmod xz-utils
# shellcheck disable=SC2310 # functions used in conditions handle their own errors
set -euo pipefail

LAB_CACHE=${LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/warder/lab}

# Progress is for people: nothing in a pipe unless asked for.
lab_say() {
  if [ -t 2 ] || [ "${LAB_VERBOSE:-}" = 1 ]; then echo "lab: $*" >&2; fi
}

# lab_die CAUSE [CURE]. 125 tells a failure of the lab from one of the script in it.
lab_die() {
  echo "lab: $1" >&2
  [ $# -lt 2 ] || echo "lab: to mend it: $2" >&2
  exit 125
}

# lab_need PACKAGES TOOL...
lab_need() {
  local packages=$1 tool
  shift
  for tool; do
    command -v "$tool" > /dev/null || lab_die "the program $tool is missing" "apt-get install $packages"
  done
}

# Prints the directory of the newest kernel in the cache, fetching one if there is none.
lab_kernel() {
  lab_need "kmod xz-utils" depmod modprobe xz
  mkdir -p "$LAB_CACHE" || lab_die "the cache $LAB_CACHE cannot be made" "set LAB_CACHE to a directory of yours"
  _lab_newest_kernel && return
  # One fetches, the others wait for it, and look again.
  exec 9> "$LAB_CACHE/lock"
  flock 9
  _lab_newest_kernel || { _lab_fetch_kernel && _lab_newest_kernel; }
}

_lab_newest_kernel() {
  local dir
  dir=$(find "$LAB_CACHE" -maxdepth 1 -type d -name 'kernel-*' 2> /dev/null | sort -V | tail -n 1)
  [ -n "$dir" ] && echo "$dir"
}

# A kernel is put in its place by one rename, whole: what a killed download leaves is never taken for one.
_lab_fetch_kernel() {
  local package release fresh
  package=$(_lab_kernel_package)
  release=${package#linux-image-}
  find "$LAB_CACHE" -maxdepth 1 -name 'fetch.*' -exec rm -rf {} + # ours is the lock: these are dead ones'
  fresh=$(mktemp -d "$LAB_CACHE/fetch.XXXXXX")
  # shellcheck disable=SC2064 # the value of now
  trap "rm -rf '$fresh'" EXIT
  lab_say "downloading Debian's kernel $release (about 70 MB)"
  _lab_download "$package" "$fresh"
  lab_say "unpacking it"
  mkdir "$fresh/kernel"
  dpkg -x "$fresh"/linux-image-*.deb "$fresh/kernel" || lab_die "$package cannot be unpacked" "look for space below $LAB_CACHE"
  chmod 755 "$fresh/kernel"
  depmod -b "$fresh/kernel" "$release"
  _lab_extract_vmlinux "$fresh/kernel/boot/vmlinuz-$release" > "$fresh/kernel/vmlinux"
  echo "$release" > "$fresh/kernel/release"
  mv -T "$fresh/kernel" "$LAB_CACHE/kernel-$release"
  rm -rf "$fresh"
  trap - EXIT
}

# The package that linux-image-amd64 stands for in the machine's package lists.
_lab_kernel_package() {
  local package
  lab_need apt apt-cache apt-get dpkg
  package=$(apt-cache depends linux-image-amd64 2> /dev/null | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1)
  [ -n "$package" ] || lab_die "the package lists have no linux-image-amd64" "apt-get update"
  echo "$package"
}

# apt checks the package against the signed lists, and tries again by itself; a dead mirror gets one more chance later.
_lab_download() {
  local package=$1 to=$2 try
  for try in 1 2 3; do
    if (cd "$to" && apt-get -q -o Acquire::Retries=3 -o APT::Sandbox::User=root download "$package") > "$to/log" 2>&1; then
      return
    fi
    [ "$try" = 3 ] || sleep $((try * 5))
  done
  tail -n 5 "$to/log" >&2
  lab_die "$package cannot be downloaded" "apt-get update (old package lists name packages that are gone), and look at the network"
}

# The ELF kernel inside a bzImage: its payload's place and length stand in the image's set-up header, and the payload
# ends with four bytes of its unpacked size. ELF, since Firecracker boots nothing else, and since unpacking xz is slow
# work for an emulated processor.
_lab_extract_vmlinux() {
  local image=$1 sectors offset length start
  sectors=$(od -An -tu1 -j$((0x1f1)) -N1 "$image")
  read -r offset length < <(od -An -tu4 -j$((0x248)) -N8 "$image")
  start=$(((sectors + 1) * 512 + offset))
  head -c $((start + length - 4)) "$image" | tail -c +$((start + 1)) | xz -dcq ||
    lab_die "$image holds no kernel packed with xz" "use Debian's own linux-image-amd64"
}

# lab_modules KERNEL TO MODULE... — copies modules and all they need to TO/000.ko, 001.ko …, in the order to load them.
lab_modules() {
  local kernel=$1 to=$2 module file number=0
  shift 2
  while read -r file; do
    printf -v module '%s/%03d.ko' "$to" "$number"
    case $file in
      *.xz) xz -dc "$file" > "$module" ;;
      *) cp "$file" "$module" ;;
    esac
    number=$((number + 1))
  done < <(for module; do
    modprobe -d "$kernel" -S "$(cat "$kernel/release")" --show-depends "$module"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }')
  [ "$number" -gt 0 ] || lab_die "$kernel has none of the modules $*" "rm -r $kernel"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  case ${1:-} in
    "") lab_kernel ;;
    --is-cached) _lab_newest_kernel > /dev/null ;;
    *) lab_die "kernel.sh: unknown argument $1" ;;
  esac
fi
