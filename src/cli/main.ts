import { Command, CommanderError, InvalidArgumentError } from "commander";
import { isWarderError, messageOf } from "../vm/error.ts";
import { run } from "./commands/run.ts";
import { printJson, printNote, type Terminal } from "./terminal.ts";

const terminal: Terminal = {
  stdout: process.stdout,
  stderr: process.stderr,
  color: process.stdout.isTTY === true && process.stdout.hasColors?.() === true,
};

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => interrupted.abort());
  let status = 0;
  const program = new Command("warder").description("Jailed Firecracker microVMs, proven and removed").exitOverride();
  program
    .command("run")
    .description("start a VM, show its console, end with its exit")
    .option("--probe", "run the built-in guest of a few KB")
    .option("--kernel <file>", "uncompressed kernel (vmlinux)")
    .option("--initrd <file>", "initial ramdisk")
    .option("--rootfs <file>", "root disk")
    .option("--id <id>", "name of the VM")
    .option("--vcpus <n>", "virtual CPUs", whole)
    .option("--memory <MiB>", "guest memory", whole)
    .option("--json", "one JSON document on stdout")
    .option("--quiet", "only the console")
    .action(async (options) => {
      status = await run(
        {
          spec: {
            kernel: options.probe === true ? "probe" : options.kernel,
            ...(options.initrd === undefined ? {} : { initrd: options.initrd }),
            ...(options.rootfs === undefined ? {} : { drives: [{ path: options.rootfs, root: true }] }),
            ...(options.id === undefined ? {} : { id: options.id }),
            ...(options.vcpus === undefined ? {} : { vcpus: options.vcpus }),
            ...(options.memory === undefined ? {} : { memoryMib: options.memory }),
          },
          json: options.json === true,
          quiet: options.quiet === true,
          open: {},
        },
        terminal,
        interrupted.signal,
      );
    });
  try {
    await program.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    return explain(error, args.includes("--json"));
  }
}

function explain(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (json && isWarderError(error)) printJson(terminal, { error: error.toJSON() });
  printNote(terminal, `warder: ${isWarderError(error) ? `${error.message} [${error.code}]` : messageOf(error)}`);
  return isWarderError(error) ? error.exitStatus : 1;
}

function whole(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError("must be a whole number");
}
