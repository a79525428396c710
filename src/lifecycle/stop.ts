import type { FirecrackerClient } from "../firecracker/client.ts";
import { messageOf, WarderError } from "../vm/error.ts";
import type { ProcessIdentity } from "../vm/process.ts";
import type { VmRecord } from "../vm/record.ts";
import type { ShutdownLadder, ShutdownMethod, ShutdownOutcome } from "../vm/shutdown.ts";
import { refuseStranger, signalVm } from "./identity.ts";
import type { Machinery } from "./machinery.ts";
import { enterRung } from "./rungs.ts";
import { type ShutdownOptions, shutDown } from "./shutdown.ts";

/** A VM as far as a shutdown needs it. */
export interface Stoppable {
  readonly record: VmRecord;
  readonly ended: Promise<unknown>;
  readonly client: FirecrackerClient | undefined;
}

/**
 * Climbs a shutdown ladder on a VM. Each rung is written down before it acts, so that whoever notices the end, in
 * whatever process, knows who caused it.
 *
 * @throws {@link WarderError} `process-stuck` where the last rung did not help either; `process-stranger`.
 */
export async function climbDown(
  machinery: Machinery,
  vm: Stoppable,
  ladder: ShutdownLadder,
  options: ShutdownOptions,
): Promise<ShutdownOutcome> {
  const { host } = machinery;
  const { process, id } = vm.record;
  if (process === undefined) throw new TypeError(`${id} has no process to end`);
  refuseStranger(machinery, vm.record, `stopping ${id}`);
  const wasPaused = machinery.store.get(id)?.state === "paused";
  const apply = async (method: ShutdownMethod, within: AbortSignal): Promise<string | undefined> => {
    const skipped = whyNot(method, vm, wasPaused);
    if (skipped !== undefined) return skipped;
    const unwritten = enterRung(machinery.store, vm.record, method);
    if (unwritten !== undefined)
      machinery.warn("VM's end not written down", { vm_id: id, method, error: messageOf(unwritten) });
    if (method === "ctrl-alt-del") await vm.client?.sendCtrlAltDel({ signal: within });
    else signalVm(machinery, vm.record, method === "sigterm" ? "SIGTERM" : "SIGKILL");
    return undefined;
  };
  const outcome = await shutDown(host.clock, ladder, { ended: vm.ended, apply }, options);
  if (outcome.endedBy === undefined && host.processes.isAlive(process)) throw stuck(id, process);
  return outcome;
}

/** Why a rung can not help this VM; climbing it would only cost its time. */
function whyNot(method: ShutdownMethod, { record, client }: Stoppable, wasPaused: boolean): string | undefined {
  if (method === "ctrl-alt-del") {
    if (globalThis.process.arch !== "x64") return "this architecture has no such key";
    if (wasPaused) return "a paused guest can not act on it";
    if (client === undefined) return "the API is not connected";
  }
  // Pid 1 of a namespace is not killed by a signal that it does not handle.
  if (method === "sigterm" && record.spec.newPidNamespace) return "Firecracker ignores it as pid 1 of its namespace";
  return undefined;
}

function stuck(id: string, { pid }: ProcessIdentity): WarderError {
  return new WarderError("process-stuck", {
    doing: `stopping ${id}`,
    why: `its process ${pid} outlived every rung of the shutdown`,
    cure: `Look at /proc/${pid}/stack for what it waits for; \`warder kill ${id}\` tries again`,
  });
}
