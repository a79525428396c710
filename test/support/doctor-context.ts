/** What the tests of this room share; there are no tests in here. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import type { Check, CheckContext, DoctorDeps, DoctorSettings } from "../../src/doctor/check.ts";
import type { Verdict } from "../../src/doctor/report.ts";
import type { Host } from "../../src/host/host.ts";
import { openHost } from "../../src/host/real/host.ts";
import { type HostPath, toHostPath } from "../../src/vm/path.ts";

/** What differs from a host on which everything is fine. */
export interface Differences {
  /** Texts of files below the host's directory, such as `proc/swaps`. */
  readonly files?: Readonly<Record<string, string>>;
  readonly settings?: Partial<DoctorSettings>;
  readonly deps?: Partial<DoctorDeps>;
  readonly probe?: NonNullable<CheckContext["probe"]>;
  readonly effectiveUid?: number;
  /** Tools that are not installed. */
  readonly missingTools?: readonly string[];
}

/** A directory as a host: its `proc`, `sys`, `dev` and `etc` hold what a test puts there. */
export function contextOn(
  t: TestContext,
  differences: Differences = {},
): CheckContext & { readonly directory: HostPath } {
  const directory = tempDirectory(t);
  for (const [path, text] of Object.entries(differences.files ?? {})) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return {
    directory,
    host: hostOn(directory, differences),
    settings: settingsOn(directory, differences.settings),
    deps: { ...fineDeps, ...differences.deps },
    probe: differences.probe,
    signal: new AbortController().signal,
  };
}

/** Runs the one check of a code. */
export async function runCheck(checks: readonly Check[], code: Check["code"], context: CheckContext): Promise<Verdict> {
  const check = checks.find((each) => each.code === code);
  if (check === undefined) throw new Error(`there is no check ${code}`);
  return check.run(context);
}

/** A directory that is removed when the test ends. */
export function tempDirectory(t: TestContext): HostPath {
  const directory = mkdtempSync(join(tmpdir(), "warder-doctor-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return toHostPath(directory);
}

/** Other rooms, as they are where nothing is wrong. */
export const fineDeps: DoctorDeps = {
  examineBinary: (path) => ({ path, resolved: path, problems: [] }),
  stateProblems: () => [],
  readVersion: async () => "1.16.1",
  supportOf: (version) => ({ supported: version === "1.16.1", why: `${version} is out of support` }),
  directoryProblems: () => [],
  conflictingRoute: () => undefined,
  cgroups: { choose: () => 2, mounts: () => [], checkParent: () => undefined },
};

/** Settings that lie in a directory. */
export function settingsOn(directory: HostPath, own: Partial<DoctorSettings> = {}): DoctorSettings {
  return {
    chrootBase: toHostPath(`${directory}/srv/jailer`),
    stateDir: toHostPath(`${directory}/var/lib/warder`),
    firecracker: toHostPath(`${directory}/firecracker`),
    jailer: toHostPath(`${directory}/jailer`),
    uidRange: { first: 500_000, count: 10_000 },
    etcDirectory: toHostPath(`${directory}/etc`),
    ...own,
  };
}

function hostOn(directory: HostPath, { effectiveUid, missingTools = [] }: Differences): Host {
  const real = openHost("");
  return {
    ...real,
    roots: { proc: `${directory}/proc`, sys: `${directory}/sys`, dev: `${directory}/dev` },
    processes: { ...real.processes, effectiveUid: effectiveUid ?? 0 },
    commands: {
      ...real.commands,
      find: (tool) =>
        missingTools.includes(tool) ? undefined : (real.commands.find(tool) ?? toHostPath(`/usr/bin/${tool}`)),
    },
  };
}
