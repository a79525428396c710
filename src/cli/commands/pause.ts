import { defineCommand } from "../command.ts";
import { type EachVmRequest, eachVm, vmOperands } from "../each-vm.ts";
import { toggle } from "../flags.ts";
import type { Interruption } from "../interruption.ts";
import type { Terminal } from "../terminal.ts";

/** `warder pause`, parsed. */
export interface PauseRequest extends EachVmRequest {
  readonly force: boolean;
}

export const pauseCommand = defineCommand({
  operands: vmOperands,
  flags: {
    force: toggle("--force", "even where this Firecracker (1.16) loses the VM's vsock by it"),
  },
  details: "A paused guest uses no CPU and keeps its memory. Its clock stands still too.",
  examples: [["warder pause vm-1", "Stop a guest's time"]],
  parse: ({ flags, operands, common }): PauseRequest => ({ ...common, ids: operands, force: flags.force === true }),
  execute: pause,
});

/** Stops guests' time. */
export function pause(
  request: PauseRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  return eachVm(request, terminal, {
    doing: "pausing",
    async act(vm) {
      await vm.pause({ signal, force: request.force });
      return { document: { state: (await vm.inspect()).state } };
    },
  });
}
