import { defineCommand } from "../command.ts";
import { type EachVmRequest, eachVm, vmOperands } from "../each-vm.ts";
import { toggle } from "../flags.ts";
import type { Interruption } from "../interruption.ts";
import type { Terminal } from "../terminal.ts";

/** `warder rm`, parsed. */
export interface RmRequest extends EachVmRequest {
  /** Kill those that still run. */
  readonly force: boolean;
}

export const rmCommand = defineCommand({
  operands: vmOperands,
  flags: { force: toggle("-f, --force", "kill VMs that still run") },
  details:
    "A VM's jail and cgroups go when it ends; this is about its record, console and log. One that was removed already\n" +
    "is fine.",
  examples: [
    ["warder rm vm-1", "Forget a VM that has ended"],
    [`warder rm $(warder ps -a --json | jq -r '.[] | select(.exit).id')`, "Forget all that have ended"],
    ["warder rm --force vm-1", "Kill it first"],
  ],
  parse: ({ flags, operands, common }): RmRequest => ({ ...common, ids: operands, force: flags.force === true }),
  execute: rm,
});

/** Forgets VMs. */
export function rm(request: RmRequest, terminal: Terminal, { signal }: Pick<Interruption, "signal">): Promise<number> {
  return eachVm(request, terminal, {
    doing: "removing",
    async act(vm) {
      await vm.remove({ signal, force: request.force });
      return { document: { removed: true } };
    },
    // It is as it was asked for.
    actWithout: (id, manager) => (manager.hasRemoved(id) ? { document: { removed: true } } : undefined),
  });
}
