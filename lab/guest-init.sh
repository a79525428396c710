# The guest's default process 1, read by busybox's shell once the modules are loaded. What it does is up to the kernel's
# command line:
#
#   (nothing)              print `uname -srm`, the uptime and the addresses, then end the guest
#   guest.ip=A/N           first give eth0 the address A/N and bring it up
#   guest.gateway=A        and route all else by A
#   -- COMMAND…            run this instead of the report: a shell's words, the rest of the line, such as
#                          `-- ping -c 1 10.0.0.1` or `-- while :; do date; sleep 1; done`
#
# The guest ends after that, by the reset that Firecracker takes for a clean end; `guest: status N` tells how it went.
# shellcheck shell=dash

# argument NAME: its value on the command line
argument() { sed -n "s/.*\b$1=\([^ ]*\).*/\1/p" /proc/cmdline; }

ip link set lo up
address=$(argument guest.ip)
if [ -n "$address" ]; then
  ip addr add "$address" dev eth0
  ip link set eth0 up
fi
gateway=$(argument guest.gateway)
[ -z "$gateway" ] || ip route add default via "$gateway"

# Taken from the line itself: the kernel hands process 1 the words without their quotes.
command=$(sed -n 's/.* -- //p' /proc/cmdline)
if [ -n "$command" ]; then
  sh -c "$command"
  echo "guest: status $?"
else
  echo "guest: $(uname -srm), up $(cut -d' ' -f1 /proc/uptime) s"
  ip -o addr
fi
reboot -f
