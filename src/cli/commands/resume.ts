import { defineCommand } from "../command.ts";
import { type EachVmRequest, eachVm, vmOperands } from "../each-vm.ts";
import type { Interruption } from "../interruption.ts";
import type { Terminal } from "../terminal.ts";

export const resumeCommand = defineCommand({
  operands: vmOperands,
  flags: {},
  details: "The guest goes on where it was; its clock is late by the time it was paused.",
  examples: [["warder resume vm-1", "Let a guest go on"]],
  parse: ({ operands, common }): EachVmRequest => ({ ...common, ids: operands }),
  execute: resume,
});

/** Lets guests' time go on. */
export function resume(
  request: EachVmRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  return eachVm(request, terminal, {
    doing: "resuming",
    async act(vm) {
      await vm.resume({ signal });
      return { document: { state: (await vm.inspect()).state } };
    },
  });
}
