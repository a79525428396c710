import type { WantedLimit } from "../../src/isolation/wanted.ts";
import type { ControlPhase } from "../../src/vm/isolation.ts";

export const PID = 4242;
export const UID = 10_001;
export const ID = "vm-1";
export const BOOT_ID = "11111111-2222-3333-4444-555555555555";
export const START_TICKS = "117366";

/** A limit with where it lies and what its file says. */
export interface LimitFile extends Omit<WantedLimit, "file"> {
  readonly controller: string;
  readonly file: string;
  readonly text: string;
}

const memory = {
  name: "memory",
  controller: "memory",
  text: "299999232\n",
  wanted: "300000000",
  rule: "pages",
} as const;
const cpus = {
  name: "cpus",
  controller: "cpuset",
  file: "cpuset.cpus",
  text: "0-1\n",
  wanted: "0,1",
  rule: "list",
} as const;
const pids = {
  name: "pids",
  controller: "pids",
  file: "pids.max",
  text: "1024\n",
  wanted: "1024",
  rule: "exact",
} as const;
const cpu = { name: "cpu", controller: "cpu", rule: "exact" } as const;
const io = { name: "io", rule: "line" } as const;

/** Limits that were asked for, and the cgroup's files as the kernel prints them, for each cgroup version. */
export const limitsOf: Readonly<Record<1 | 2, readonly LimitFile[]>> = {
  1: [
    { ...memory, file: "memory.limit_in_bytes" },
    { ...cpu, file: "cpu.cfs_quota_us", text: "100000\n", wanted: "100000" },
    cpus,
    pids,
    {
      ...io,
      controller: "blkio",
      file: "blkio.throttle.write_bps_device",
      text: "7:0 9\n8:0 1048576\n",
      wanted: "8:0 1048576",
    },
  ],
  2: [
    { ...memory, file: "memory.max" },
    { ...cpu, file: "cpu.max", text: "100000 100000\n", wanted: "100000 100000" },
    cpus,
    pids,
    {
      ...io,
      controller: "io",
      file: "io.max",
      text: "8:0 rbps=max wbps=1048576 riops=max wiops=max\n",
      wanted: "8:0 wbps=1048576",
    },
  ],
};

/** Threads of a Firecracker with one vCPU, the main thread first. Until the guest runs there is only the main one. */
export const threads: Readonly<Record<ControlPhase, readonly (readonly [tid: number, name: string])[]>> = {
  held: [[PID, "firecracker"]],
  running: [
    [PID, "firecracker"],
    [PID + 1, "fc_api"],
    [PID + 3, "fc_vcpu 0"],
    [PID + 4, "kvm-nx-lpage-re"],
  ],
};

/** What the open descriptors lead to, from 0 upwards. */
export function descriptorTargets(phase: ControlPhase, path: (relative: string) => string): string[] {
  const fifo = (name: string) => path(`jail/io/${name}`);
  const held = ["/dev/null", fifo("console"), fifo("console"), fifo("log"), fifo("metrics")];
  if (phase === "held") return held;
  return [
    ...held,
    "anon_inode:[eventfd]",
    "socket:[20961]",
    "anon_inode:kvm-vm",
    "anon_inode:kvm-vcpu:0",
    "/dev/urandom",
    path("jail/root/kernel"),
  ];
}

/** `/proc/<pid>/stat`, of a process or a thread. */
export function statText(tid: number, name: string): string {
  const flags = 4_194_560;
  return `${tid} (${name}) S 1 ${PID} ${PID} 0 -1 ${flags} 358 0 1 0 0 0 0 0 20 0 1 0 ${START_TICKS} 2834432 369\n`;
}

/** `/proc/<pid>/limits`. */
export const limitsText = `Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max file size             1048576              1048576              bytes     
Max stack size            8388608              unlimited            bytes     
Max core file size        0                    unlimited            bytes     
Max open files            1000                 1000                 files     
Max nice priority         0                    0                    
`;

/** `/proc/<pid>/status`, of which the lines about memory and signals are left out. */
export function statusText(tid: number, name: string, isFiltered: boolean): string {
  const ids = [UID, UID, UID, UID].join("\t");
  const none = "0000000000000000";
  return `Name:\t${name}
Umask:\t0022
State:\tS (sleeping)
Tgid:\t${PID}
Pid:\t${tid}
TracerPid:\t0
Uid:\t${ids}
Gid:\t${ids}
FDSize:\t1024
Groups:\t 
NSpid:\t${tid}\t${tid - PID + 1}
CapInh:\t${none}
CapPrm:\t${none}
CapEff:\t${none}
CapBnd:\t000001fffeffffff
CapAmb:\t${none}
NoNewPrivs:\t${isFiltered ? 1 : 0}
Seccomp:\t${isFiltered ? 2 : 0}
Seccomp_filters:\t${isFiltered ? 1 : 0}
Cpus_allowed:\t3
Cpus_allowed_list:\t0-1
`;
}
