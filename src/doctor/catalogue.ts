/** What the documentation says of one check. */
export interface CheckFacts {
  /** What is checked, as a noun phrase. */
  readonly title: string;
  /** What it means where the check finds something wrong, and why that matters. One or two sentences. */
  readonly cause: string;
  /** What to do then, as imperative sentences. */
  readonly cure: string;
  /** Without it nothing can be jailed: a check that can not be done counts as a problem, not as a warning. */
  readonly essential: boolean;
  /** Messages and troubles by which people meet it. */
  readonly symptoms?: readonly string[];
}

type Words = Omit<CheckFacts, "essential">;

const essential = (words: Words): CheckFacts => Object.freeze({ ...words, essential: true });
const advice = (words: Words): CheckFacts => Object.freeze({ ...words, essential: false });

/**
 * Every check of `warder doctor`, in the order of its report. Codes are stable: they may be added to, never renamed.
 * `docs/doctor.md` is made from this table.
 */
export const doctorCatalogue = Object.freeze({
  root: essential({
    title: "Root",
    cause: "The jailer makes device nodes, mounts and cgroups, and changes its user: only root can.",
    cure: "Run `warder` as root.",
    symptoms: ["Operation not permitted (os error 1)"],
  }),
  capabilities: essential({
    title: "Capabilities of this process",
    cause: "Root in a container lacks capabilities that the jailer needs.",
    cure: "Give the container the missing capabilities (`--cap-add`), or run on the host.",
    symptoms: ["Failed to unshare into new mount namespace: Operation not permitted"],
  }),
  "kernel-version": essential({
    title: "Kernel version",
    cause: "Firecracker is made for Linux 5.10 and newer; the jailer needs close_range (5.9).",
    cure: "Use a host with Linux 5.10, better 6.1, or newer.",
  }),
  "system-tools": essential({
    title: "Programs of the system",
    cause: "Warder leaves device nodes, FIFOs and networks to the programs that own them.",
    cure: "Install what is missing: mknod and mkfifo are in coreutils, ip in iproute2, nft in nftables.",
  }),
  "kvm-device": essential({
    title: "/dev/kvm",
    cause: "Firecracker runs guests through KVM alone.",
    cure: "Load kvm_intel or kvm_amd, enable virtualization in the firmware or, in a VM, nested virtualization; give a container `--device /dev/kvm`.",
    symptoms: ["Error creating KVM object: No such file or directory (os error 2)"],
  }),
  probe: essential({
    title: "A guest in a jail, from start to end",
    cause: "The built-in guest could not be jailed, run and ended: any other VM would fail in the same way.",
    cure: "Cure the other findings first; what is left is in this one's message.",
  }),
  "kvm-speed": advice({
    title: "Speed of KVM",
    cause:
      "KVM emulates every guest instruction here, as some virtual machines' nested KVM does: a Linux guest takes many minutes to boot.",
    cure: "Use a host with hardware virtualization, or only tiny guests.",
  }),
  "firecracker-binary": essential({
    title: "Firecracker",
    cause: "There is no Firecracker that can run on this machine.",
    cure: "Run `warder setup`, or name one with --firecracker.",
    symptoms: ["Failed to canonicalize path: No such file or directory"],
  }),
  "jailer-binary": essential({
    title: "Jailer",
    cause: "There is no jailer that can run on this machine.",
    cure: "Run `warder setup`, or name one with --jailer.",
  }),
  "binaries-static": essential({
    title: "Static binaries",
    cause: "A jail holds no libraries and no loader, so only a static program starts in it.",
    cure: "Use the binaries of an official release: `ldd` calls them not a dynamic executable. `warder setup` installs them.",
    symptoms: ["Failed to exec into Firecracker: No such file or directory"],
  }),
  "binaries-owner": essential({
    title: "Who can change the binaries",
    cause: "They are run as root. Whoever can change them, or a directory above them, is root.",
    cure: "Let root own the files and all directories above: `chown root:root`, `chmod go-w`.",
  }),
  "binaries-version-match": essential({
    title: "Versions of Firecracker and jailer",
    cause: "The jailer passes Firecracker arguments that another version may not know.",
    cure: "Take both from the same release: `warder setup`.",
  }),
  "binaries-supported": advice({
    title: "Support for the version",
    cause: "Upstream mends this version no more, security included.",
    cure: "Run `warder setup` to get a supported release.",
  }),
  "cgroup-version": essential({
    title: "Cgroups for memory, CPU and processes",
    cause: "A VM without cgroups of its own has no limits, and is stopped along with its manager.",
    cure: "Mount cgroup v2 with the memory, cpu and pids controllers, or the v1 controllers; in a container, writable.",
    symptoms: ["Controller memory is unavailable", "cgroup v1 is not mounted"],
  }),
  "cgroup-controllers": advice({
    title: "Cgroups for CPU sets and disks",
    cause: "Without the cpuset and io controllers a VM can not be pinned to CPUs nor its disks throttled.",
    cure: "Enable the controllers at the root of the cgroup mount.",
  }),
  "cgroup-writable": essential({
    title: "Making a cgroup",
    cause: "No cgroup can be made, as in a container whose cgroups are read-only.",
    cure: "Mount the cgroups writable: with Docker `--privileged` or `--cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup:rw`.",
    symptoms: ["Failed to create directory: Read-only file system (os error 30)"],
  }),
  "cgroup-v2-internal-processes": essential({
    title: "Processes in the parent cgroup",
    cause: "In cgroup v2 a group that holds processes can not pass controllers to groups below it.",
    cure: "Move those processes into a group beside the VMs', or use another parent cgroup.",
    symptoms: ["Failed to write to cgroup.subtree_control: Resource busy (os error 16)"],
  }),
  "cgroup-favordynmods": advice({
    title: "Speed of moves between cgroups",
    cause:
      "From Linux 6.1 on, making a VM waits for a grace period of the kernel unless cgroups favour dynamic modification.",
    cure: "Run `mount -o remount,favordynmods` on the cgroup2 mount; with v1, boot with cgroup_favordynmods=true.",
  }),
  "chroot-base": essential({
    title: "Directory for jails",
    cause:
      "Jails can only be made in a directory that nobody but root can change. It may belong to an account that nobody logs in to, such as `jailer`, but not to a user that VMs run as: that one could lead root astray with links.",
    cure: "`mkdir -p` it, `chown root:root` and `chmod 755` it, and mind the directories above. Guides that give it to the user that VMs run as are wrong.",
    symptoms: ["Permission denied", "Failed to canonicalize path /srv/jailer: No such file or directory"],
  }),
  "chroot-base-mount": essential({
    title: "Device nodes and programs in the directory for jails",
    cause:
      "On a file system mounted nodev no jail can open /dev/kvm, and on noexec none can start Firecracker; either fails late.",
    cure: "Remount it with `mount -o remount,dev,exec`, or use a directory on another file system.",
    symptoms: ["Error creating KVM object: Permission denied", "Failed to exec into Firecracker: Permission denied"],
  }),
  "chroot-base-space": advice({
    title: "Room for jails",
    cause: "Every jail holds a copy of Firecracker, of some 3 MB, and of each disk that its VM may write.",
    cure: "Free space, or use a larger file system.",
    symptoms: ["No space left on device (os error 28)"],
  }),
  "chroot-same-filesystem": advice({
    title: "Kernels and disks beside the jails",
    cause: "Files on another mount than the jails are copied into each jail instead of linked.",
    cure: "Keep kernels and disks on the file system of the directory for jails.",
    symptoms: ["Invalid cross-device link (os error 18)"],
  }),
  "socket-path-length": essential({
    title: "Length of API socket paths",
    cause: "The kernel takes Unix socket paths of 107 bytes at most, and the jail's depth uses up most of them.",
    cure: "Use a shorter directory for jails or a shorter file name for Firecracker.",
    symptoms: ["connect ENOENT on an API socket that exists", "Socket connection failed"],
  }),
  "uid-range": essential({
    title: "User ids for jails",
    cause:
      "Each VM gets a user id of its own. One that somebody else has, too, could reach into the jail, or be reached from it.",
    cure: "Choose a range with --uid-range or WARDER_UID_RANGE that no account and no /etc/subuid entry touches.",
  }),
  "state-directory": essential({
    title: "State directory",
    cause: "The state says which processes are killed and which files removed: only root may write it.",
    cure: "Let root own it and all directories above, writable by nobody else.",
  }),
  "state-database": advice({
    title: "State database",
    cause: "The database of VMs, leases and host objects is not whole, as after a failing disk.",
    cure: "Open the host with any command that needs it, such as `warder ps`: the database is set aside and rebuilt, and running VMs are not touched. Then look at the disk.",
    symptoms: ["database disk image is malformed", "store-damaged"],
  }),
  netns: advice({
    title: "Network namespaces",
    cause: "Without network namespaces VMs share the host's network.",
    cure: "Use a kernel with CONFIG_NET_NS; in a container, give CAP_SYS_ADMIN.",
    symptoms: ["Failed to join network namespace"],
  }),
  "tun-device": advice({
    title: "/dev/net/tun",
    cause: "Without the tun driver VMs can have no network cards.",
    cure: "Run `modprobe tun`; give a container `--device /dev/net/tun`.",
    symptoms: ["Open tap device failed"],
  }),
  "network-devices": advice({
    title: "Virtual cables, bridges and TAP devices",
    cause: "Without them VMs can have no network of Warder's making.",
    cure: "Load the modules veth, bridge and tun (`modprobe -a veth bridge tun`), or use a kernel that has them; install iproute2.",
    symptoms: ["Unknown device type", "RTNETLINK answers: Operation not supported"],
  }),
  "packet-filter": advice({
    title: "nftables with address translation",
    cause: "The rules of VMs' networks can not be made, so that VMs are refused networks.",
    cure: "Install nftables; load nf_tables, nft_ct, nft_nat, nft_masq, nft_fib_inet and nft_limit, or use a kernel that has them.",
    symptoms: ["Could not process rule: Operation not supported", "network-unavailable"],
  }),
  "ip-forwarding": advice({
    title: "Forwarding of packets",
    cause:
      "The host hands no packets on. VMs with egress, allowed destinations or published ports are refused where this is IPv4's; IPv6 is left out where it is IPv6's.",
    cure: "Run `sysctl -w net.ipv4.ip_forward=1` (and net.ipv6.conf.all.forwarding=1), and write it to /etc/sysctl.d/. The host becomes a router: look at its other rules first.",
    symptoms: ["network-unavailable", "the guest reaches its gateway, and nothing else"],
  }),
  "forward-policy": advice({
    title: "Other rules for forwarded packets",
    cause:
      "Other rules of this host, such as Docker's or ufw's, drop what they do not know: what comes from VMs (interfaces wrd-*), and with br_netfilter what VMs of one network send each other (wrb-*).",
    cure: "Let them pass there: with Docker `iptables -I DOCKER-USER -i wrd-+ -j ACCEPT` and `iptables -I DOCKER-USER -o wrd-+ -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT`.",
    symptoms: [
      "the guest reaches its gateway, and nothing else",
      "nothing is counted as dropped in the VM's namespace",
    ],
  }),
  "reverse-path-filter": advice({
    title: "Reverse path filter",
    cause:
      "It is loose for all interfaces (net.ipv4.conf.all.rp_filter is 2), which overrules the strict one of VMs' cables: the second fence against packets in another's name is down. The first, in each VM's namespace, stands.",
    cure: "Run `sysctl -w net.ipv4.conf.all.rp_filter=0` (each interface keeps its own), and write it to /etc/sysctl.d/.",
  }),
  "address-pool": advice({
    title: "Addresses for VMs",
    cause:
      "The host has a route of its own into the pool, so a VM's address could hide somebody else's: VMs are refused.",
    cure: "Set WARDER_NETWORK_IPV4_POOL to a range that nobody near this host uses.",
    symptoms: ["address-taken"],
  }),
  "mount-count": advice({
    title: "Number of mounts",
    cause: "Each jail copies the table of mounts: ten parallel starts take ten times as long with 500 mounts.",
    cure: "Unmount what is not needed, or run Warder in a mount namespace with few mounts.",
  }),
  swap: advice({
    title: "Swap",
    cause: "Guest memory that is swapped out stays readable on the disk.",
    cure: "Run `swapoff -a`, or encrypt the swap.",
  }),
  ksm: advice({
    title: "Merging of equal memory pages (KSM)",
    cause: "Guests can find out by timing which pages other guests hold.",
    cure: "Run `echo 2 > /sys/kernel/mm/ksm/run`.",
  }),
  smt: advice({
    title: "Simultaneous multithreading (SMT)",
    cause: "Guests that share a core can spy on each other through its caches.",
    cure: "Boot with nosmt, or give each tenant whole cores.",
  }),
  "cpu-vulnerabilities": advice({
    title: "Flaws of the CPU",
    cause: "The kernel says that it does not mitigate a flaw through which a guest may read the host's memory.",
    cure: "Update kernel and microcode, and boot without mitigations=off.",
  }),
  "nx-huge-pages": advice({
    title: "KVM's remedy for iTLB multihit",
    cause: "KVM splits huge pages against a flaw that this CPU does not have, which costs speed.",
    cure: "Boot with kvm.nx_huge_pages=never.",
  }),
});

/** A stable name for one check. */
export type DoctorCode = keyof typeof doctorCatalogue;

/** All codes, in the order of the report. */
export const doctorCodes = Object.freeze(Object.keys(doctorCatalogue)) as readonly DoctorCode[];
