import { defineCommand } from "../command.ts";
import { type EachVmRequest, eachVm, vmOperands } from "../each-vm.ts";
import { text } from "../flag-parsers.ts";
import { value } from "../flags.ts";
import type { Interruption } from "../interruption.ts";
import type { Terminal } from "../terminal.ts";

/** `warder start`, parsed. */
export interface StartRequest extends EachVmRequest {
  readonly idempotencyKey?: string;
}

export const startCommand = defineCommand({
  operands: vmOperands,
  flags: { idempotencyKey: value("--idempotency-key <key>", text, "of a call that may be repeated: it starts once") },
  details:
    "In the background, as `run --detach` does: prints the id once a VM runs and is proven. It is the same VM as before,\n" +
    "with its console going on where it stopped. One that runs already is fine.",
  examples: [
    ["warder start vm-1", "Start a VM that was created, or that has ended"],
    ["warder start $(warder ps -aq)", "All that are not running"],
  ],
  parse: ({ flags, operands, common }): StartRequest => ({
    ...common,
    ids: operands,
    ...(flags.idempotencyKey === undefined ? {} : { idempotencyKey: flags.idempotencyKey }),
  }),
  execute: start,
});

/** Starts VMs in the background. */
export function start(
  request: StartRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  const key = request.idempotencyKey === undefined ? {} : { idempotencyKey: request.idempotencyKey };
  return eachVm(request, terminal, {
    doing: "starting",
    async act(vm) {
      const { id: _id, ...document } = await vm.start({ signal, ...key });
      return { document: { ...document } };
    },
  });
}
