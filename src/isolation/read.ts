import type { Host } from "../host/host.ts";
import { systemCodeOf } from "../vm/error.ts";
import type { ControlPhase } from "../vm/isolation.ts";
import type { ProcessIdentity } from "../vm/process.ts";
import { factReaders, type Source } from "./fact-readers.ts";
import type { FactName, KernelView, Reading, Readings } from "./facts.ts";
import { isWhole } from "./liveness.ts";
import type { WantedIsolation } from "./wanted.ts";

/**
 * Facts of the held phase, in the parts after each of which the process is made sure of: first what concerns the jail
 * itself, which even a VM that ends at once is to be judged by.
 */
const heldParts: readonly (readonly FactName[])[] = [
  ["threads", "root", "workingDirectory", "executable", "mounts", "namespaces", "managerNamespaces", "askedNetns"],
  ["resourceLimits", "environment", "commandLine", "label", "cgroupMembership", "limits", "descriptors"],
];

/** Facts of the running phase. None of them needs a path inside the jail: the jail's tree is an attacker's by then. */
const runningParts: readonly (readonly FactName[])[] = [["threads"], ["cgroupMembership", "limits", "descriptors"]];

/**
 * Reads what the kernel says of a process that waits for its configuration: everything the jailer did is in place, and
 * no instruction of a guest has run. Synchronous, as it stands in the way of a start: well under a millisecond.
 *
 * Never throws for a process that ends meanwhile: the view says `vanished` and has the parts that were read while it
 * was sure to live. What can not be read of a live process is a reading of its own, and becomes a gap.
 *
 * @param process - Who it is, as found when it was started: by now the pid alone could be another's.
 */
export function readHeld(host: Host, process: ProcessIdentity, wanted: WantedIsolation): KernelView {
  return read(host, process, wanted, "held", heldParts);
}

/**
 * Reads what the kernel says of a process whose guest runs. Not before Firecracker's API says `Running`, or the guest
 * has shown a sign of life: until then its threads and their filters are still being made. As {@link readHeld} otherwise.
 */
export function readRunning(host: Host, process: ProcessIdentity, wanted: WantedIsolation): KernelView {
  return read(host, process, wanted, "running", runningParts);
}

function read(
  host: Host,
  process: ProcessIdentity,
  wanted: WantedIsolation,
  phase: ControlPhase,
  parts: readonly (readonly FactName[])[],
): KernelView {
  const source: Source = { host, wanted, pid: process.pid, directory: `${host.roots.proc}/${process.pid}` };
  const facts: Readings = {};
  for (const names of parts) {
    const part = names.map((name): Readings => ({ [name]: attempt(() => factReaders[name](source)) }));
    // One look afterwards vouches for all that was read before, and nothing else does: until then the answers can be a
    // dying process's empty ones, or a stranger's.
    if (!isWhole(host, process)) return { phase, process, vanished: true, facts };
    Object.assign(facts, ...part);
  }
  return { phase, process, vanished: false, facts };
}

function attempt<Value>(readFact: () => Value): Reading<Value> {
  try {
    return { value: readFact() };
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === undefined) throw error;
    return { unreadable: code };
  }
}
