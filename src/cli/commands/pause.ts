import { defineCommand } from "../command.ts";
import { type EachVmRequest, eachVm, vmOperands } from "../each-vm.ts";
import type { Interruption } from "../interruption.ts";
import type { Terminal } from "../terminal.ts";

export const pauseCommand = defineCommand({
  operands: vmOperands,
  flags: {},
  details: "A paused guest uses no CPU and keeps its memory. Its clock stands still too.",
  examples: [["warder pause vm-1", "Stop a guest's time"]],
  parse: ({ operands, common }): EachVmRequest => ({ ...common, ids: operands }),
  execute: pause,
});

/** Stops guests' time. */
export function pause(
  request: EachVmRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  return eachVm(request, terminal, {
    doing: "pausing",
    async act(vm) {
      await vm.pause({ signal });
      return { document: { state: vm.state } };
    },
  });
}
