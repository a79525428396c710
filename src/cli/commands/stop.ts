import { defaultShutdownLadder, type ShutdownLadder } from "../../vm/shutdown.ts";
import { defineCommand } from "../command.ts";
import { describeEnd } from "../describe-end.ts";
import { type EachVmRequest, eachVm, vmOperands } from "../each-vm.ts";
import { seconds } from "../flag-parsers.ts";
import { value } from "../flags.ts";
import type { Interruption } from "../interruption.ts";
import type { Terminal } from "../terminal.ts";

/** `warder stop`, parsed. */
export interface StopRequest extends EachVmRequest {
  /** How long a guest gets to end by itself. Absent: as the VM was made, 5 s by default. */
  readonly timeoutMs?: number;
}

export const stopCommand = defineCommand({
  operands: vmOperands,
  flags: {
    timeout: value("-t, --timeout <seconds>", seconds, "how long each guest gets to end by itself (default 5)"),
  },
  details:
    "A guest is sent Ctrl-Alt-Del, on which Linux shuts down; if it has not ended in time, Firecracker gets SIGTERM,\n" +
    "and 5 s later SIGKILL. Afterwards jail and cgroups are gone. A VM that has ended already is fine.",
  examples: [
    ["warder stop vm-1", "End a VM"],
    ["warder stop --timeout 60 vm-1 vm-2", "Give two databases a minute to shut down"],
  ],
  parse: ({ flags, operands, common }): StopRequest => ({
    ...common,
    ids: operands,
    ...(flags.timeout === undefined ? {} : { timeoutMs: flags.timeout }),
  }),
  execute: stop,
});

/** Ends VMs in order. */
export function stop(
  request: StopRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  const ladder = request.timeoutMs === undefined ? {} : { ladder: patientLadder(request.timeoutMs) };
  return eachVm(request, terminal, {
    doing: "stopping",
    act: async (vm) => describeEnd(vm.id, await vm.stop({ signal, ...ladder })),
  });
}

/** The usual ladder with another time for its first rung. */
export function patientLadder(timeoutMs: number): ShutdownLadder {
  return defaultShutdownLadder.map((rung, index) => (index === 0 ? { ...rung, timeoutMs } : rung));
}
