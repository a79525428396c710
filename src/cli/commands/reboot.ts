import { defineCommand } from "../command.ts";
import { type EachVmRequest, eachVm, vmOperands } from "../each-vm.ts";
import { seconds } from "../flag-parsers.ts";
import { value } from "../flags.ts";
import type { Interruption } from "../interruption.ts";
import type { Terminal } from "../terminal.ts";
import { patientLadder } from "./stop.ts";

/** `warder reboot`, parsed. */
export interface RebootRequest extends EachVmRequest {
  /** How long a guest gets to end by itself. Absent: as the VM was made, 5 s by default. */
  readonly timeoutMs?: number;
}

export const rebootCommand = defineCommand({
  operands: vmOperands,
  flags: {
    timeout: value("-t, --timeout <seconds>", seconds, "how long each guest gets to end by itself (default 5)"),
  },
  details:
    "Ends VMs as `stop` does and starts them again, as the same VMs: each with its id, its console going on where it\n" +
    "stopped, and the number of its run counted up. Afterwards a VM runs, proven anew.",
  examples: [
    ["warder reboot vm-1", "Restart a VM"],
    ["warder reboot --timeout 60 db", "Give a database a minute to shut down"],
  ],
  parse: ({ flags, operands, common }): RebootRequest => ({
    ...common,
    ids: operands,
    ...(flags.timeout === undefined ? {} : { timeoutMs: flags.timeout }),
  }),
  execute: reboot,
});

/** Ends VMs in order, and starts them again. */
export function reboot(
  request: RebootRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  const ladder = request.timeoutMs === undefined ? {} : { ladder: patientLadder(request.timeoutMs) };
  return eachVm(request, terminal, {
    doing: "rebooting",
    async act(vm) {
      await vm.reboot({ signal, ...ladder });
      const { id: _id, ...document } = await vm.inspect();
      return { document: { ...document } };
    },
  });
}
