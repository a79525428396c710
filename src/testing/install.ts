/** Puts the fakes into a directory, as two executable files. */
import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type FakeRecord, readRecords, recordsPath } from "./common/records.ts";
import { DEFAULT_VERSION, releaseOf } from "./common/release.ts";
import { type CgroupRoots, type Fault, faultQueue, type Settings } from "./common/settings.ts";
import type { GuestBehaviour } from "./firecracker/behaviour.ts";
import { createSimulatedCgroups } from "./jailer/cgroup-files.ts";
import { writeLauncher } from "./launcher.ts";

/** How the fakes are to be. */
export interface FakesOptions {
  /** Where the two executables go; they must not outlive it. Not under a directory mounted `noexec`. */
  readonly directory: string;
  /** The release to model. Default 1.12.1, the one that was compared with the real binaries. */
  readonly version?: string;
  /** File name of the fake Firecracker, which becomes part of the jail's path. Default `firecracker`. */
  readonly name?: string;
  /** What kernels without a marker do. Default `hello`. */
  readonly guest?: GuestBehaviour;
  /** Faults of every Firecracker. Default none. */
  readonly faults?: readonly Fault[];
  /**
   * Whether owners, device nodes, user ids, namespaces and limits are real. Default: when root starts the fakes.
   * `true` without root fails where the real jailer fails.
   */
  readonly privileged?: boolean;
  /**
   * The host's cgroups, or a directory that stands in for them with all usual controllers in v1 (`<root>/<controller>`)
   * and v2 (`<root>/unified`). Default: the host's for root, else a stand-in in `directory`.
   */
  readonly cgroups?: CgroupRoots;
  /** The TAP devices that there are. Default: for root those of the host, else any. */
  readonly taps?: readonly string[];
}

/** The fakes in place. */
export interface InstalledFakes {
  /** Path of the fake jailer. */
  readonly jailer: string;
  /** Path of the fake Firecracker, to be given as `--exec-file`. */
  readonly firecracker: string;
  readonly version: string;
  /** The stand-in for the cgroup file systems, if there is one. */
  readonly cgroupRoot: string | undefined;
  /** Gives these faults to the next Firecracker that is started; called again, to the one after it. */
  queueFaults(...faults: readonly Fault[]): Promise<void>;
  /** What the fakes did so far, in order: jails built, and requests answered. */
  records(): readonly FakeRecord[];
}

/**
 * Installs a fake jailer and a fake Firecracker.
 *
 * @example
 * const fakes = await installFakes({ directory: await mkdtemp("/var/tmp/fakes-") });
 * const manager = createManager({ jailer: fakes.jailer, firecracker: fakes.firecracker });
 * await fakes.queueFaults("never-bind");
 */
export async function installFakes(options: FakesOptions): Promise<InstalledFakes> {
  const home = join(options.directory, ".warder-fakes");
  const cgroups = options.cgroups ?? defaultCgroups(options, home);
  const settings = settingsOf(options, cgroups);
  await createSharedFiles(home);
  if (cgroups.kind === "simulated") createSimulatedCgroups(cgroups.root);
  await writeFile(join(home, "settings.json"), JSON.stringify(settings));
  return {
    jailer: await writeLauncher(options.directory, home, "jailer", "fake-jailer"),
    firecracker: await writeLauncher(options.directory, home, options.name ?? "firecracker", "fake-firecracker"),
    version: settings.version,
    cgroupRoot: cgroups.kind === "simulated" ? cgroups.root : undefined,
    queueFaults: (...faults) => queueFaults(home, faults),
    records: () => readRecords(home),
  };
}

/** The fakes may be started by another user than the one who installs them. */
async function createSharedFiles(home: string): Promise<void> {
  for (const directory of [home, faultQueue(home), join(home, "compile-cache")]) {
    await mkdir(directory, { recursive: true });
    await chmod(directory, 0o777);
  }
  await writeFile(recordsPath(home), "");
  await chmod(recordsPath(home), 0o666);
}

function defaultCgroups({ privileged = process.getuid?.() === 0 }: FakesOptions, home: string): CgroupRoots {
  return privileged ? { kind: "host" } : { kind: "simulated", root: join(home, "cgroup") };
}

function settingsOf(options: FakesOptions, cgroups: CgroupRoots): Settings {
  const { guest = "hello", faults = [], privileged, taps } = options;
  return {
    version: releaseOf(options.version ?? DEFAULT_VERSION).version,
    guest,
    faults,
    cgroups,
    ...(privileged === undefined ? {} : { privileged }),
    ...(taps === undefined ? {} : { taps }),
  };
}

async function queueFaults(home: string, faults: readonly Fault[]): Promise<void> {
  const queue = faultQueue(home);
  const taken = (await readdir(queue)).map((name) => Number.parseInt(name, 10));
  const next = Math.max(0, ...taken) + 1;
  await writeFile(join(queue, `${String(next).padStart(6, "0")}.json`), JSON.stringify(faults), { flag: "wx" });
}
