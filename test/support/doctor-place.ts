/** What the tests of the doctor share; there are no tests in here. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { chooseVersion } from "../../src/cgroup/choose.ts";
import { type Controller, v1Name } from "../../src/cgroup/controllers.ts";
import { detectCgroups, v1HierarchyOf } from "../../src/cgroup/detect.ts";
import type { DoctorDeps, DoctorSettings } from "../../src/doctor/check.ts";
import { runDoctor } from "../../src/doctor/doctor.ts";
import type { Finding } from "../../src/doctor/report.ts";
import { openHost } from "../../src/host/real/host.ts";
import { directoryProblems, examineBinary } from "../../src/setup/examine.ts";
import { supportOf } from "../../src/setup/version.ts";
import { type HostPath, toHostPath } from "../../src/vm/path.ts";
import { settingsOn } from "./doctor-context.ts";
import { fakePair, fakeVetDeps, run } from "./setup-binaries.ts";

/** A user id that nobody has. */
export const ANYBODY = 65_533;
const host = openHost(process.env.PATH);
/** The cgroups of this machine. */
export const cgroups = detectCgroups(host);

/** The other rooms as they are, but for the versions of binaries, which are fakes. */
const deps: DoctorDeps = {
  examineBinary: (path) => examineBinary(host, path, "x86_64"),
  readVersion: fakeVetDeps().readVersion,
  supportOf,
  directoryProblems: (directory) => directoryProblems(host, directory),
  conflictingRoute: () => undefined,
  stateProblems: () => [],
  cgroups: {
    choose: (controllers) => chooseVersion(cgroups, controllers),
    mounts: (version, controllers) => cgroupMounts(version, controllers),
    checkParent: () => undefined,
  },
};

function cgroupMounts(version: 1 | 2, controllers: readonly Controller[]): HostPath[] {
  const hierarchies = version === 2 ? [cgroups.v2] : controllers.map((each) => v1HierarchyOf(cgroups, v1Name(each)));
  return [...new Set(hierarchies.flatMap((each) => each?.directory ?? []))];
}

/** What the doctor finds on this machine with these settings, by code. */
export async function examine(settings: DoctorSettings): Promise<Record<string, Finding>> {
  const { findings } = await runDoctor(host, settings, deps, { signal: new AbortController().signal });
  return Object.fromEntries(findings.map((finding) => [finding.code, finding]));
}

/** A directory with a good pair of binaries in it, and what is mounted below. Gone when the test ends. */
export class Place {
  readonly directory: HostPath;
  readonly settings: DoctorSettings;
  readonly #mounts: string[] = [];

  constructor(t: TestContext) {
    this.directory = toHostPath(mkdtempSync(join(tmpdir(), "warder-doctor-")));
    this.settings = settingsOn(this.directory);
    fakePair(this.directory);
    t.after(() => {
      for (const path of this.#mounts) run("umount", [path]);
      rmSync(this.directory, { recursive: true });
    });
  }

  makeBase(): void {
    mkdirSync(this.settings.chrootBase, { recursive: true });
  }

  /** Mounts the base, by default as a file system in memory. */
  mountBase(options: string, how: readonly string[] = ["-t", "tmpfs", "tmpfs"]): void {
    this.makeBase();
    run("mount", ["-o", options, ...how, this.settings.chrootBase]);
    this.#mounts.push(this.settings.chrootBase);
  }
}
