/**
 * One jailed VM from start to end, for services that try what it takes: prints each thing that failed, ends with status
 * 1 then. Argument: a directory for it all.
 */
import { Warder } from "../../src/lifecycle/warder.ts";
import { realBinaries } from "./capability-probes.ts";

const directory = process.argv[2];
if (directory === undefined) throw new Error("usage: life-of-a-vm.ts DIRECTORY");

const PATIENCE_MS = 120_000;

try {
  await using warder = await Warder.open({
    ...realBinaries(),
    stateDir: `${directory}/state`,
    chrootBase: `${directory}/jails`,
    parentCgroup: "warder-life",
  });
  const kernel = new URL("../../guests/idle.elf", import.meta.url).pathname;
  const vm = await warder.run({ kernel, newPidNamespace: true, startTimeoutMs: PATIENCE_MS });
  const { isolation } = vm.inspect();
  if (isolation?.level !== "proven") throw new Error(`not proven: ${isolation?.gaps.join("; ")}`);
  const ladder = [
    { method: "sigterm", timeoutMs: PATIENCE_MS },
    { method: "sigkill", timeoutMs: PATIENCE_MS },
  ] as const;
  await vm.stop({ ladder });
  await vm.remove();
} catch (error) {
  console.log(String(error));
  process.exitCode = 1;
}
