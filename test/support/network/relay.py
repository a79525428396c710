"""relay.py VM-NAMESPACE VM-TAP GUEST-NAMESPACE GUEST-TAP: stands in for Firecracker and a guest.

Carries frames between the VM's TAP device and one in another namespace, whose kernel so becomes the guest: it has the
network stack and the tools of this machine, and can be told to lie.
"""
import ctypes
import fcntl
import os
import select
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000


def attach(namespace, name):
    handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(handle, 0) != 0:
        raise OSError(ctypes.get_errno(), f"setns {namespace}")
    os.close(handle)
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tap


ends = [attach(*sys.argv[1:3]), attach(*sys.argv[3:5])]
print("ready", flush=True)
while True:
    for end in select.select(ends, [], [])[0]:
        try:
            os.write(ends[1 - ends.index(end)], os.read(end, 65536))
        except OSError as error:
            # A device that is down takes no frames, as a cable that was pulled out.
            if error.errno != 5:
                raise
