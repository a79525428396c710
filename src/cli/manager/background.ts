import { openThisMachine, type ThisMachine } from "../../lifecycle/this-machine.ts";
import { generateVmId } from "../../vm/id.ts";
import type { VmView } from "../../vm/view.ts";
import type { MonitorJob } from "../monitor-task.ts";
import type { RunRequest } from "../run-request.ts";
import { withHostSocket } from "../run-spec.ts";
import { startMonitor, toTask } from "../start-monitor.ts";
import type { Terminal } from "../terminal.ts";
import { chooseWay } from "./choose.ts";

/**
 * Makes a VM that stays when this process has ended, and settles when it runs, proven: the daemon looks after it, where
 * one answers, else a process of its own, the monitor. The host is not opened here: the monitor opens it.
 */
export async function runInBackground(request: RunRequest, terminal: Terminal, signal: AbortSignal): Promise<VmView> {
  const { spec, idempotencyKey, forget, overrides } = request;
  const way = await chooseWay(overrides);
  if (way.kind === "local") {
    return startMonitor(toTask(toJob(request, openThisMachine(overrides)), overrides, forget), terminal, signal);
  }
  using client = way.client;
  const key = idempotencyKey === undefined ? {} : { idempotencyKey };
  const vm = await client.run(spec, { signal, removeWhenEnded: forget, ...key });
  // As it was then: one that is to be forgotten may be gone by now.
  return vm.made ?? (await vm.inspect({ signal }));
}

/** The id is chosen here, for the monitor's command line; unless the call is a retry, whose VM may have one already. */
function toJob({ spec, idempotencyKey }: RunRequest, { host, config }: ThisMachine): MonitorJob {
  const id = spec.id ?? (idempotencyKey === undefined ? generateVmId(host.clock.nowNanoseconds()) : undefined);
  const described = withHostSocket(id === undefined ? spec : { ...spec, id }, config.stateDir);
  const key = idempotencyKey === undefined ? {} : { idempotencyKey };
  return { kind: "run", spec: described, ...key };
}
