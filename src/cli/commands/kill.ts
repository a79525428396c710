import { defineCommand } from "../command.ts";
import { describeEnd } from "../describe-end.ts";
import { type EachVmRequest, eachVm, vmOperands } from "../each-vm.ts";
import type { Interruption } from "../interruption.ts";
import type { Terminal } from "../terminal.ts";

export const killCommand = defineCommand({
  operands: vmOperands,
  flags: {},
  details: "Firecracker gets SIGKILL: the guest notices nothing, and its disks are as after a power cut.",
  examples: [["warder kill vm-1", "End a VM at once, and remove its jail"]],
  parse: ({ operands, common }): EachVmRequest => ({ ...common, ids: operands }),
  execute: kill,
});

/** Ends VMs at once. */
export function kill(
  request: EachVmRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  return eachVm(request, terminal, {
    doing: "killing",
    act: async (vm) => describeEnd(vm.id, await vm.kill({ signal })),
  });
}
