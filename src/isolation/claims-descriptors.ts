import type { ControlPhase } from "../vm/isolation.ts";
import { type Claim, claim } from "./claim.ts";
import type { DescriptorFacts } from "./facts.ts";
import { isSameFile, type WantedIsolation } from "./wanted.ts";

const NULL_DEVICE = "1:3";

/** `/dev/kvm`, `/dev/net/tun`, `/dev/urandom`: Linux's devices.txt. */
const JAIL_DEVICES = ["10:232", "10:200", "1:9"];

/** What Firecracker makes itself. Others of these can act on more than the process: pidfds, BPF, mounts, perf events. */
const OWN_INODES =
  /^anon_inode:(\[(eventfd|eventpoll|timerfd|signalfd|io_uring|userfaultfd)\]|kvm-(vm|vcpu:\d+)|\[?kvm-arm-vgic[a-z0-9-]*\]?)$/;

const ALWAYS_ALLOWED = "null, console, known files";

/** Each open descriptor is one that a Firecracker of this VM has reason to hold. */
export function descriptorsClaim(wanted: WantedIsolation, phase: ControlPhase): Claim {
  const allowed = isServing(wanted, phase) ? `${ALWAYS_ALLOWED}, Firecracker's own` : ALWAYS_ALLOWED;
  return claim("descriptors", allowed, ["descriptors"], ({ descriptors }) => {
    const strangers = descriptors.read.filter((each) => roleOf(each, wanted, phase) === undefined);
    const missing = [0, 1, 2].filter((number) => !descriptors.read.some((each) => each.number === number));
    const problems = [
      ...strangers.map(describe),
      ...missing.map((number) => `${number} is closed`),
      ...(descriptors.skipped === 0 ? [] : [`${descriptors.skipped} more than can be read`]),
    ];
    if (problems.length > 0) return { found: problems.join("; "), ok: false };
    return { found: summarise(descriptors.read.map((each) => roleOf(each, wanted, phase) ?? "")), ok: true };
  });
}

/** What a descriptor is to Firecracker; `undefined` where it has no business with it. */
function roleOf(each: DescriptorFacts, wanted: WantedIsolation, phase: ControlPhase): string | undefined {
  if (each.number === 0) return isDevice(each, [NULL_DEVICE]) ? "null" : undefined;
  if (each.number <= 2) return isSameFile(each.file, wanted.console) ? "console" : undefined;
  if (OWN_INODES.test(each.target)) return "anonymous inode";
  // The jailer closes what it inherits, and Firecracker has opened none before its configuration. Whatever is open once
  // the guest runs, it has opened itself, in its own network namespace.
  if (each.target.startsWith("socket:[")) return isServing(wanted, phase) ? "socket" : undefined;
  // For a moment, at the far end of its table, which Firecracker makes as large as it may become. It leads nowhere.
  if (isDevice(each, [NULL_DEVICE])) return "null";
  if (isDevice(each, devicesOf(wanted))) return "device";
  if (each.file?.kind !== "directory" && wanted.files.some((known) => isSameFile(known, each.file)))
    return "known file";
  if (isChosenByUser(each, wanted, phase)) return "file of the jail";
  return isMemory(each, wanted) ? "memory" : undefined;
}

/** Whether Firecracker may have opened sockets by now. */
function isServing({ apiOnly }: WantedIsolation, phase: ControlPhase): boolean {
  return phase === "running" || apiOnly === true;
}

/**
 * A kernel or disk that the VM's user named on the API. It was opened after the held phase had proven that nothing of
 * the host's is open, so by a path in the jail.
 */
function isChosenByUser({ file }: DescriptorFacts, { apiOnly, jail }: WantedIsolation, phase: ControlPhase): boolean {
  return apiOnly === true && phase === "running" && file?.kind === "file" && file.device === jail?.rootIdentity.device;
}

function devicesOf({ userfaultfd }: WantedIsolation): string[] {
  return userfaultfd === undefined ? JAIL_DEVICES : [...JAIL_DEVICES, userfaultfd];
}

function isDevice({ file }: DescriptorFacts, numbers: readonly string[]): boolean {
  return file?.kind === "character" && numbers.includes(file.deviceNumber);
}

/** memfd_create(2). The name alone could be a removed file's, but such a file lies on the jail's file system. */
function isMemory({ target, file }: DescriptorFacts, { jail }: WantedIsolation): boolean {
  const hasName = target.startsWith("/memfd:") && target.endsWith(" (deleted)");
  return hasName && file?.kind === "file" && file.links === 0 && file.device !== jail?.rootIdentity.device;
}

function describe({ number, target, file }: DescriptorFacts): string {
  if (file === undefined) return `${number} is ${target}`;
  const device = file.kind === "character" || file.kind === "block" ? ` ${file.deviceNumber}` : "";
  return `${number} is ${target} (${file.kind}${device})`;
}

function summarise(roles: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const role of roles) counts.set(role, (counts.get(role) ?? 0) + 1);
  return [...counts].map(([role, count]) => (count === 1 ? role : `${role} × ${count}`)).join(", ");
}
