import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { basename, join } from "node:path";
import type { VmSpecInput } from "../../src/vm/spec.ts";

/** The lab emulates every instruction: what takes a second elsewhere takes half a minute here. */
export const LAB_PATIENCE_MS = 240_000;

const BOOT = "console=ttyS0 reboot=k panic=-1 quiet tsc=reliable no_timer_check mitigations=off";
const root = join(import.meta.dirname, "../..");

/** A Linux guest of the lab's, with programs of a test's own. */
export interface LabGuest extends Disposable {
  /** The description of a VM that runs one command of the guest's shell, and ends. */
  spec(command: string, more?: Partial<VmSpecInput>): VmSpecInput;
}

/** Builds the guest, and each C program into its `/bin`. */
export function buildLabGuest(...sources: readonly string[]): LabGuest {
  const directory = fs.mkdtempSync("/var/tmp/warder-guest-");
  execFileSync(`${root}/lab/linux-guest.sh`, [directory]);
  if (sources.length > 0) addPrograms(directory, sources);
  return {
    spec: (command, more = {}) => ({
      kernel: `${directory}/vmlinux`,
      initrd: `${directory}/initrd`,
      bootArgs: `${BOOT} ${more.bootArgs ?? ""} -- ${command}`,
      memoryMib: 192,
      startTimeoutMs: LAB_PATIENCE_MS,
      ...withoutBootArgs(more),
    }),
    [Symbol.dispose]: () => fs.rmSync(directory, { recursive: true }),
  };
}

/** Linux unpacks archives that stand one behind the other. */
function addPrograms(directory: string, sources: readonly string[]): void {
  const tree = `${directory}/tree`;
  fs.mkdirSync(`${tree}/bin`, { recursive: true });
  const names = sources.map((source) => {
    const name = basename(source, ".c");
    execFileSync("gcc", ["-static", "-Os", "-s", "-o", `${tree}/bin/${name}`, source]);
    return `bin/${name}`;
  });
  const options = { cwd: tree, input: `${names.join("\n")}\n`, maxBuffer: 64 * 1024 * 1024 };
  fs.appendFileSync(`${directory}/initrd`, execFileSync("cpio", ["-o", "-H", "newc", "--quiet"], options));
}

function withoutBootArgs({ bootArgs: _bootArgs, ...rest }: Partial<VmSpecInput>): Partial<VmSpecInput> {
  return rest;
}
