import * as fs from "node:fs";
import { join } from "node:path";
import { Warder, type WarderOptions } from "../../src/lifecycle/warder.ts";
import { type HostPath, toHostPath } from "../../src/vm/path.ts";
import { realBinaries } from "./capability-probes.ts";
import { type HostSnapshot, snapshotHost } from "./host-snapshot.ts";

/** A host of its own: state, jails and cgroups that nothing else uses. */
export interface WarderFixture extends AsyncDisposable {
  readonly warder: Warder;
  readonly options: WarderOptions & {
    readonly stateDir: string;
    readonly chrootBase: string;
    readonly parentCgroup: string;
  };
  /** Warnings so far. */
  readonly warnings: string[];
  /** What of VMs is on the host now. */
  snapshot(): HostSnapshot;
  /** Opens another manager on the same state, as another process would. */
  reopen(): Promise<Warder>;
}

/** Directories of a host of its own, which nobody has open. */
export type WarderBed = Pick<WarderFixture, "options" | "warnings"> & AsyncDisposable;

let count = 0;

/** Directories that are gone afterwards, whatever happened, with all VMs of them. */
export function makeBed(options: Partial<WarderOptions> = {}): WarderBed {
  const directory = fs.mkdtempSync("/var/tmp/warder-test-");
  const name = `warder-test-${process.pid}-${++count}`;
  const warnings: string[] = [];
  const all = {
    ...realBinaries(),
    // Tests have several of them on one state, some in processes that they kill.
    role: "visitor" as const,
    reporter: { warn: (message: string) => void warnings.push(message), note: () => undefined },
    stateDir: `${directory}/state`,
    chrootBase: `${directory}/jails`,
    parentCgroup: name,
    ...options,
  };
  return {
    options: all,
    warnings,
    async [Symbol.asyncDispose]() {
      {
        await using warder = await Warder.open({ ...all, role: "visitor" });
        for (const vm of warder.list({ all: true })) await vm.remove({ force: true });
      }
      fs.rmSync(directory, { recursive: true, force: true });
      removeParents(name);
    },
  };
}

/** Opens a manager on real binaries, in such directories. */
export async function openFixture(options: Partial<WarderOptions> = {}): Promise<WarderFixture> {
  const bed = makeBed(options);
  const all = bed.options;
  const opened = [await Warder.open(all)];
  const [warder] = opened as [Warder];
  return {
    warder,
    options: all,
    warnings: bed.warnings,
    snapshot: () => snapshotHost({ ...all, store: warder.machinery.store }),
    async reopen() {
      const another = await Warder.open(all);
      opened.push(another);
      return another;
    },
    async [Symbol.asyncDispose]() {
      for (const vm of warder.list({ all: true })) await vm.remove({ force: true });
      for (const each of opened) await each[Symbol.asyncDispose]();
      await bed[Symbol.asyncDispose]();
    },
  };
}

/** A tiny guest of the repository. */
export function guest(name: "hello" | "tick" | "idle" | "flood" | "probe"): HostPath {
  return toHostPath(join(import.meta.dirname, "../../guests", `${name}.elf`));
}

function removeParents(name: string): void {
  for (const top of fs.readdirSync("/sys/fs/cgroup")) {
    for (const path of [`/sys/fs/cgroup/${top}/${name}`, `/sys/fs/cgroup/${name}`]) {
      if (fs.existsSync(path)) fs.rmdirSync(path);
    }
  }
}
