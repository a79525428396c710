import type { Host } from "../host/host.ts";
import { fifosOf } from "../jailer/jail.ts";
import type { ProcessIdentity } from "../vm/process.ts";
import type { VmRecord } from "../vm/record.ts";
import { seesAsRoot, writesTo } from "./identity.ts";
import { killAndWait, processStuck } from "./process-end.ts";

/** Each look finds what the last one could not: what was started just then. Two are enough, unless something is wrong. */
const LOOKS_MAX = 10;

/**
 * Ends whatever a start has started that its manager did not live to finish: the jailer, or what became of it.
 *
 * First the FIFOs are moved out of the way, without which nothing starts: the manager may have died right after it
 * asked for a program, which then is about to start by itself.
 *
 * @throws {@link WarderError} `process-stuck`.
 */
export async function endUnfinishedStart(host: Host, record: VmRecord): Promise<void> {
  const console = fenceOff(host, record);
  for (let look = 0; ; look++) {
    const [first, ...others] = findProcesses(host, record, console);
    if (first === undefined) return;
    if (look === LOOKS_MAX) throw processStuck(record.id, first.pid);
    await killAndWait(host, record.id, [first, ...others]);
  }
}

/** @returns Where the console's FIFO is now. */
function fenceOff(host: Host, { layout }: VmRecord): string {
  const fenced = `${layout.io}.ended`;
  if (host.files.inspect(layout.io)?.kind === "directory") host.files.rename(layout.io, fenced);
  return fifosOf(layout).console.replace(layout.io, fenced);
}

/** Processes that write to the jail's console or see its root: pids on disk, and names of processes, prove nothing. */
function findProcesses(host: Host, record: VmRecord, console: string): ProcessIdentity[] {
  const root = host.files.inspect(record.layout.root);
  const isOurs = (pid: number) =>
    writesTo(host, pid, console) || (record.jailed && root !== undefined && seesAsRoot(host, pid, root));
  return host.files
    .list(host.roots.proc)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== host.processes.self.pid && isOurs(pid))
    .map((pid) => host.processes.identify(pid))
    .filter((identity) => identity !== undefined);
}
