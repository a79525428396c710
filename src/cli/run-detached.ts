import { openThisMachine, type ThisMachine } from "../lifecycle/this-machine.ts";
import { generateVmId } from "../vm/id.ts";
import type { VmView } from "../vm/view.ts";
import type { Interruption } from "./interruption.ts";
import type { MonitorJob } from "./monitor-task.ts";
import { tellStart } from "./run-report.ts";
import { inFlagNames, type RunRequest } from "./run-request.ts";
import { withHostSocket } from "./run-spec.ts";
import { startMonitor, toTask } from "./start-monitor.ts";
import { printJson, printLine, type Terminal } from "./terminal.ts";

/**
 * Starts a VM that stays when this command has ended. A process of its own, the monitor, starts it and looks after it;
 * this one waits until the monitor says that the VM runs and is proven, or why it does not.
 */
export async function runDetached(
  request: RunRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  const machine = openThisMachine(request.overrides);
  const view = await start(machine, request, terminal, signal);
  tellStart(view, request, terminal);
  if (request.json) printJson(terminal, view);
  else printLine(terminal, view.id);
  return 0;
}

async function start(
  machine: ThisMachine,
  request: RunRequest,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<VmView> {
  try {
    return await startMonitor(toTask(toJob(request, machine), request.overrides, request.forget), terminal, signal);
  } catch (error) {
    throw inFlagNames(error, request);
  }
}

/** The id is chosen here, for the monitor's command line; unless the call is a retry, whose VM may have one already. */
function toJob({ spec, idempotencyKey }: RunRequest, { host, config }: ThisMachine): MonitorJob {
  const id = spec.id ?? (idempotencyKey === undefined ? generateVmId(host.clock.nowNanoseconds()) : undefined);
  const described = withHostSocket(id === undefined ? spec : { ...spec, id }, config.stateDir);
  const key = idempotencyKey === undefined ? {} : { idempotencyKey };
  return { kind: "run", spec: described, ...key };
}
