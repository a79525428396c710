import type { Host } from "../host/host.ts";
import { isWhole } from "../isolation/liveness.ts";
import { type FileIdentity, isSameFile } from "../isolation/wanted.ts";
import { fifosOf } from "../jailer/jail.ts";
import { isFirecrackerOf } from "../jailer/launch.ts";
import { systemCodeOf, WarderError } from "../vm/error.ts";
import type { ProcessIdentity } from "../vm/process.ts";
import type { VmRecord } from "../vm/record.ts";
import type { Machinery } from "./machinery.ts";

/**
 * What has become of a VM's process.
 *
 * - `running`: it is there, beyond doubt: pid, start time, boot, the `--id` of its command line and the root that it sees
 *   all are the recorded ones.
 * - `gone`: it has ended; its pid may be another process's by now.
 * - `stranger`: pid, start time and boot are the recorded ones, and yet it is not what was recorded. Nobody knows what it
 *   is, so it is left alone, and so is everything of the VM.
 */
export type Sighting =
  | { readonly kind: "running"; readonly process: ProcessIdentity }
  | { readonly kind: "gone" | "stranger"; readonly why: string };

/** Looks for a VM's process: some 50 µs. */
export function sightVm({ host }: Pick<Machinery, "host">, record: VmRecord): Sighting {
  const { process } = record;
  const absence = absenceOf(host, process);
  if (absence !== undefined || process === undefined) return { kind: "gone", why: absence ?? "" };
  const oddity = oddityOf(host, record, process.pid);
  if (oddity === undefined) return { kind: "running", process };
  // What is read of a process on its way out is odd: it has lost its command line, then its root.
  if (isWhole(host, process)) return { kind: "stranger", why: oddity };
  return absenceOf(host, process) === undefined
    ? { kind: "running", process }
    : { kind: "gone", why: `there is no process ${process.pid}` };
}

/** Whether the recorded process is this VM's Firecracker, beyond doubt. */
export function isStillRunning(machinery: Pick<Machinery, "host">, record: VmRecord): boolean {
  return sightVm(machinery, record).kind === "running";
}

/**
 * Sends a signal to a VM's process, once it is known to be that.
 *
 * @returns False where it has ended.
 * @throws {@link WarderError} `process-stranger`.
 */
export function signalVm(
  machinery: Pick<Machinery, "host" | "store" | "warn">,
  record: VmRecord,
  signal: NodeJS.Signals,
): boolean {
  const process = refuseStranger(machinery, record, `sending ${signal} to ${record.id}`);
  return process !== undefined && machinery.host.processes.signal(process, signal);
}

/**
 * A VM's process, once it is known to be that; `undefined` where it has ended.
 *
 * @throws {@link WarderError} `process-stranger`.
 */
export function refuseStranger(
  machinery: Pick<Machinery, "host" | "store" | "warn">,
  record: VmRecord,
  doing: string,
): ProcessIdentity | undefined {
  const sighting = sightVm(machinery, record);
  if (sighting.kind === "running") return sighting.process;
  if (sighting.kind === "gone") return undefined;
  noteStranger(machinery, record, sighting.why);
  throw new WarderError("process-stranger", {
    doing,
    why: `${sighting.why}, so it was left alone`,
    cure: `Look at /proc/${record.process?.pid}; once it has ended, \`warder gc\` removes what is left of the VM`,
  });
}

/** Says once, in the record and aloud, that a process is a stranger. */
export function noteStranger(
  { host, store, warn }: Pick<Machinery, "host" | "store" | "warn">,
  { id, process }: VmRecord,
  why: string,
): void {
  const known = store.get(id);
  if (known === undefined || known.stranger?.why === why) return;
  store.update(id, (record) => ({ ...record, stranger: { why, at: host.clock.now() } }));
  warn("process is not the VM's any more, so it was left alone", { vm_id: id, pid: process?.pid, why });
}

/** Why the recorded process is not there any more; `undefined` where it is. */
function absenceOf(host: Host, process: ProcessIdentity | undefined): string | undefined {
  if (process === undefined) return "its process was never known";
  if (process.bootId !== host.processes.self.bootId) return "the host has been booted since";
  const now = host.processes.identify(process.pid);
  if (now === undefined) return `there is no process ${process.pid}`;
  return now.startTicks === process.startTicks
    ? undefined
    : `process ${process.pid} is another one by now, which was left alone`;
}

/** In what the process differs from what was recorded of the VM. */
function oddityOf(host: Host, record: VmRecord, pid: number): string | undefined {
  // What is about to become Firecracker is not like it yet, but writes to the console from its first moment on.
  if (record.startedAt === undefined && writesTo(host, pid, fifosOf(record.layout).console)) return undefined;
  if (!isFirecrackerOf(host, record.layout, pid)) return `the command line of process ${pid} does not have its id`;
  const { rootIdentity } = record;
  if (rootIdentity === undefined || seesAsRoot(host, pid, rootIdentity)) return undefined;
  return `process ${pid} does not see its jail as root`;
}

/** Whether a directory is what a process sees as `/`. */
export function seesAsRoot(host: Host, pid: number, root: FileIdentity): boolean {
  return isSameFile(linkOf(host, pid, "root"), root);
}

/** Whether a process has a file as its standard output, which nobody but our own programs gets to open. */
export function writesTo(host: Host, pid: number, path: string): boolean {
  const file = host.files.inspect(path);
  return file !== undefined && isSameFile(linkOf(host, pid, "fd/1"), file);
}

/** What a link of a process's leads to; the kernel resolves it. A process that may not be looked at is not ours. */
function linkOf(host: Host, pid: number, name: "root" | "fd/1"): FileIdentity | undefined {
  try {
    return host.files.inspectFollowing(`${host.roots.proc}/${pid}/${name}`);
  } catch (error) {
    if (["EACCES", "EPERM", "ESRCH"].includes(systemCodeOf(error) ?? "")) return undefined;
    throw error;
  }
}
