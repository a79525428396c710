import { disk, drive, mebibytes, oneOf, path, secondsWithin, text, whole } from "./flag-parsers.ts";
import { grouped, list, toggle, value } from "./flags.ts";
import { io } from "./io-flag.ts";
import { net } from "./net-flags.ts";
import { driveLimit, vsockLimits, vsockPort } from "./rate-flags.ts";
import { restart } from "./restart-flag.ts";

/** The flags of `warder run`. */
export const runFlags = {
  ...grouped("What runs:", {
    probe: toggle("--probe", "the built-in guest of a few KB, which runs for some 30 ms and ends"),
    kernel: value("--kernel <file>", path, "uncompressed kernel (vmlinux)"),
    initrd: value("--initrd <file>", path, "initial RAM disk"),
    rootfs: value("--rootfs <file[:ro]>", disk, "root disk; :ro shares it between VMs"),
    drive: list("--drive <[id=]file[:ro]>", drive, "further disk; may be repeated"),
    bootArgs: value("--boot-args <text>", text, "kernel arguments (default: console on the serial port, no PCI)"),
    vcpus: value("--vcpus <n>", whole, "virtual CPUs, 1 to 32 (default 1)"),
    memory: value("--memory <MiB>", mebibytes, "guest memory, 128 or more (default 128); 2G will do as well"),
  }),
  ...grouped("Limits:", {
    cpuPercent: value("--cpu-percent <n>", whole, "CPU time, 100 is one core (default 100 a vCPU)"),
    cpuWeight: value("--cpu-weight <n>", whole, "share of CPU time under contention, 1 to 10000"),
    cpus: value("--cpus <list>", text, "CPUs that may be used, such as 0-3,8"),
    memoryNodes: value("--memory-nodes <list>", text, "memory nodes that may be used, such as 0"),
    memoryLimit: value("--memory-limit <MiB>", mebibytes, "memory of guest and Firecracker (default: 5 % and 48 more)"),
    pids: value("--pids <n>", whole, "threads of Firecracker (default 1024)"),
    openFiles: value("--open-files <n>", whole, "open files of Firecracker (default 2048)"),
    fileSize: value("--file-size <MiB>", mebibytes, "largest file that Firecracker may write (default: unlimited)"),
    io: list("--io <dev:rate,...>", io, "disk throttle, such as /dev/vda:rbps=10M,wiops=200; may be repeated"),
    driveLimit: list(
      "--drive-limit <id:rate,...>",
      driveLimit,
      "rate of a disk, such as rootfs:bandwidth=10M,ops=500; may be repeated",
    ),
  }),
  ...grouped("Its network:", {
    net: list(
      "--net <mode>",
      net,
      "none, isolated, egress, bridge=NAME or network=NAME; may be repeated (default: no interface)",
    ),
    allow: list(
      "--allow <host[:port][/protocol]>",
      text,
      "open a way out: 10.0.0.0/8, db.example.com:5432, 10.0.0.5:53/udp, or host:3128; may be repeated",
    ),
    publish: list(
      "-p, --publish <[[address:]port:]port>",
      text,
      "have a port of this host lead to the guest's: 8080:80, 127.0.0.1:8080:80, 5353:53/udp; may be repeated",
    ),
    dns: list("--dns <address>", text, "a name server, told to the guest and opened; may be given twice"),
    tap: list("--tap <name>", text, "a TAP device of your own, for the jail's user; may be repeated"),
    cni: list("--cni <network>", text, "a network that CNI plugins make; may be repeated"),
  }),
  ...grouped("What it is told:", {
    metadata: value("--metadata <file>", path, "JSON that the guest can ask for at http://169.254.169.254/ (MMDS)"),
  }),
  ...grouped("Its vsock:", {
    vsock: toggle("--vsock", "a vsock; implied by the two below"),
    vsockPort: list(
      "--vsock-port <port=target>",
      vsockPort,
      "open a port to the guest: 80=tcp:127.0.0.1:8080 or 52=unix:/run/agent.sock; may be repeated",
    ),
    vsockLimit: value(
      "--vsock-limit <limit,...>",
      vsockLimits,
      "of all connections: rate=100,concurrent=128,to-guest=64M,to-host=64M (default)",
    ),
  }),
  ...grouped("Its jail:", {
    id: value("--id <id>", text, "name of the VM and its jail (default: made up)"),
    uid: value("--uid <n>", whole, "user id of the jail (default: one that no other VM has)"),
    gid: value("--gid <n>", whole, "group id of the jail (default: the user id)"),
    netns: value("--netns <path>", path, "network namespace, such as /run/netns/blue (default: the host's)"),
    newPidNs: toggle("--new-pid-ns", "a pid namespace of its own"),
    apiSock: value(
      "--api-sock <path>",
      text,
      "Firecracker's API socket inside the jail (default /run/firecracker.socket)",
    ),
    isolation: value(
      "--isolation <policy>",
      oneOf("strict", "degrade"),
      "strict refuses a VM with a gap (default); degrade starts it, and names the gaps",
    ),
    unjailed: toggle("--unjailed", "without the jailer; needs --isolation degrade, and never in production"),
  }),
  ...grouped("How it runs:", {
    detach: toggle("-d, --detach", "in the background: print its id once it runs and is proven"),
    timeout: value(
      "--timeout <seconds>",
      secondsWithin(0.1, 600),
      "most time until it runs and is proven (default 30)",
    ),
    restart: value(
      "--restart <policy[:most]>",
      restart,
      "start it again when it has ended: never (default), on-failure[:5], always; stop and kill end it",
    ),
    idempotencyKey: value("--idempotency-key <key>", text, "of a call that may be repeated: it makes one VM only"),
    rm: toggle("--rm", "forget it, with its output, when it has ended"),
    proof: toggle("--proof", "print each control, wanted beside found"),
    quiet: toggle("-q, --quiet", "print the console and errors only"),
  }),
};
