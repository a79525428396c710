#!/usr/bin/env bash
# demo-linux.sh GUEST — the part of demo.sh that boots Linux: GUEST/vmlinux and GUEST/initrd of lab/linux-guest.sh.
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
# The project's own Node, where it is there, before any other: looking at two costs a second on an emulated processor.
PATH=$PWD/node_modules/node/bin:$PATH
exec bin/warder run --id demo-linux --kernel "$1/vmlinux" --initrd "$1/initrd" --memory 256 \
  --boot-args "console=ttyS0 reboot=k panic=-1 quiet tsc=reliable no_timer_check mitigations=off"
