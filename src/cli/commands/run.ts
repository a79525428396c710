import { defineCommand } from "../command.ts";
import type { Interruption } from "../interruption.ts";
import { runFlags } from "../run-flags.ts";
import { parseRun, type RunRequest } from "../run-request.ts";
import type { Terminal } from "../terminal.ts";

export const runCommand = defineCommand({
  flags: runFlags,
  details:
    "In the foreground the guest's console is shown, and the first Ctrl-C or SIGTERM ends the VM in order; a second one\n" +
    "kills it. Either way its jail is removed. With --detach a small process looks after it in the background.\n" +
    "The console is shown byte for byte in a pipe or a file; on a terminal without what drives more than the screen\n" +
    "(strings for the terminal such as titles and clipboard, requests it answers, C1 controls).\n" +
    "With --json the console goes to standard error, and standard output gets what `inspect --json` shows.",
  examples: [
    ["warder run --probe", "Jail, boot and prove the built-in guest, and see each control"],
    ["warder run --kernel vmlinux --rootfs disk.ext4 --memory 512", "A Linux guest in the foreground"],
    [
      "warder run -d --id db --kernel vmlinux --rootfs disk.ext4 --vcpus 2 --memory 1G --cpu-percent 150",
      "One to stay",
    ],
    ["warder run --rm --quiet --kernel job.elf --drive data=input.img:ro", "A job that leaves nothing behind"],
    ["warder run --probe --json | jq .isolation.level", "For a program"],
  ],
  parse: parseRun,
  execute: run,
});

/** Starts a VM, in the foreground or in the background. */
export async function run(request: RunRequest, terminal: Terminal, interruption: Interruption): Promise<number> {
  if (request.detach) {
    const { runDetached } = await import("../run-detached.ts");
    return runDetached(request, terminal, interruption);
  }
  const { runForeground } = await import("../run-foreground.ts");
  return runForeground(request, terminal, interruption);
}
