import { defineCommand } from "../command.ts";
import type { Interruption } from "../interruption.ts";
import { openManager } from "../manager/open.ts";
import { runFlags } from "../run-flags.ts";
import { inFlagNames, parseRun, type RunRequest } from "../run-request.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

/** Those of `run` that describe a VM: how one that runs is shown has no meaning yet. */
const { detach: _detach, rm: _rm, proof: _proof, quiet: _quiet, ...flags } = runFlags;

export const createCommand = defineCommand({
  flags,
  details:
    "Prints the id. The VM is written down and its user id reserved; nothing of it is on the host, and nothing runs,\n" +
    "until `warder start`. What a start would refuse is refused now.",
  examples: [
    ["warder create --id db --kernel vmlinux --rootfs disk.ext4 --memory 1G", "One to start later"],
    ["warder create --kernel job.elf --idempotency-key order-4711", "One that a retry does not make twice"],
  ],
  parse: ({ flags: given, ...input }) => parseRun({ ...input, flags: given }),
  execute: create,
});

/** Writes a VM down. */
export async function create(
  request: RunRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  await using manager = await openManager(request, terminal);
  const { idempotencyKey } = request;
  const key = idempotencyKey === undefined ? {} : { idempotencyKey };
  try {
    const vm = await manager.create(request.spec, { signal, ...key });
    if (request.json) printJson(terminal, await vm.inspect());
    else printLine(terminal, vm.id);
    return 0;
  } catch (error) {
    throw inFlagNames(error, request);
  }
}
