/** What `warder --help` tells below the commands. */
export const programDetails = `\`warder COMMAND --help\` tells more of each, with examples.
A VM is named by its whole id: no abbreviation, so that none is ended for another.
VMs are the daemon's, where one answers on its socket, or where --host names one; else this process opens the host.
serve, install, setup, config, token, version and completion are always about this machine.
Settings come from flags, else from the environment: \`warder config\` shows them all.

Exit status:
  0  done                    3  refused by policy: an isolation gap, an unjailed start
  1  failed                  4  no such VM
  2  wrong command line      128 + signal  interrupted
  \`warder run\` ends with the VM's own: 0 where the guest ended cleanly, Firecracker's where it failed,
  128 + signal where one ended it.

Output:
  The result goes to standard output, everything else to standard error. With --json the result is JSON, and an error
  is {"error": {"code", "message", ...}}.

Examples:
  # Is this machine fit?
  $ warder doctor --probe
  # Install Firecracker and the jailer, where there are none
  $ warder setup
  # The main thing, in a second: jail, boot, prove, stop and remove a tiny built-in guest
  $ warder run --probe
  # A Linux guest in the background, and its console
  $ id=$(warder run --detach --kernel vmlinux --rootfs disk.ext4 --memory 512) && warder logs -f $id`;
