/** Directories and cgroups for tests of the small API on real binaries, which nothing else uses and nothing survives. */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { promisify } from "node:util";
import { Warder } from "../../src/lifecycle/warder.ts";
import type { SandboxOverrides } from "../../src/simple/vm-config.ts";
import { realBinaries } from "../support/capability-probes.ts";
import { type HostSnapshot, snapshotHost } from "../support/host-snapshot.ts";

/** What VMs can leave on a host. */
export type Leftovers = Omit<HostSnapshot, "networkNamespaces"> & {
  readonly records: readonly string[];
  readonly outputs: readonly string[];
};

/** What a test of the small API needs. */
export interface SimpleFixture extends AsyncDisposable {
  /** Real binaries, and a directory of jails of its own. */
  readonly sandbox: Pick<SandboxOverrides, "execFile" | "jailerBinary" | "chrootBaseDir"> & { execFile: string };
  /** The same without a jailer. */
  readonly unjailed: SimpleFixture["sandbox"];
  /** State of its own; warnings are collected. */
  readonly options: {
    readonly stateDir: string;
    readonly reporter: { warn(message: string): void; note(): void };
  };
  readonly warnings: string[];
  /** What VMs have left on the host. */
  leftovers(): Promise<Leftovers>;
}

let count = 0;

/** What {@link SimpleFixture.leftovers} is where nothing is left. */
export const nothing: Leftovers = {
  files: [],
  cgroups: [],
  processes: [],
  mounts: [],
  ledger: [],
  leases: 0,
  records: [],
  outputs: [],
};

/** Opens one. The cgroups' parent is set for the whole process: test files run in processes of their own. */
export function openSimple(): SimpleFixture {
  const binaries = realBinaries();
  if (binaries === undefined) throw new Error("a test that needs real binaries has to say so");
  const directory = mkdtempSync("/var/tmp/warder-simple-");
  const parentCgroup = `warder-simple-${process.pid}-${++count}`;
  process.env.WARDER_PARENT_CGROUP = parentCgroup;
  const stateDir = `${directory}/state`;
  const chrootBase = `${directory}/jails`;
  const warnings: string[] = [];
  const sandbox = { execFile: binaries.firecracker, jailerBinary: binaries.jailer, chrootBaseDir: chrootBase };
  return {
    sandbox,
    unjailed: { ...sandbox, jailerBinary: "/nowhere/jailer" },
    options: { stateDir, reporter: { warn: (message) => void warnings.push(message), note: () => undefined } },
    warnings,
    async leftovers() {
      await using warder = await Warder.open({
        role: "visitor",
        stateDir,
        chrootBase,
        parentCgroup,
        prepareStarts: false,
      });
      const { networkNamespaces: _others, ...seen } = snapshotHost({
        chrootBase,
        parentCgroup,
        store: warder.machinery.store,
      });
      return {
        ...seen,
        files: seen.files.filter((path) => !path.startsWith(".warder-")),
        records: warder.list({ all: true }).map(({ id }) => id),
        outputs: readdirSync(`${stateDir}/vms`),
      };
    },
    async [Symbol.asyncDispose]() {
      delete process.env.WARDER_PARENT_CGROUP;
      rmSync(directory, { recursive: true, force: true });
      for (const path of parentsOf(parentCgroup)) rmdirSync(path);
    },
  };
}

function parentsOf(name: string): string[] {
  const mounts = ["", ...readdirSync("/sys/fs/cgroup")];
  return mounts.map((mount) => `/sys/fs/cgroup/${mount}/${name}`).filter((path) => existsSync(path));
}

/** One call of Firecracker's API; its body, if it has one. */
export async function callApi(socket: string, method: "GET" | "PUT", path: string, body?: object): Promise<unknown> {
  const data = body === undefined ? [] : ["-d", JSON.stringify(body)];
  const { stdout } = await promisify(execFile)("curl", [
    ...["-s", "--fail-with-body", "--unix-socket", socket, "-X", method],
    ...data,
    `http://localhost${path}`,
  ]);
  return stdout === "" ? undefined : JSON.parse(stdout);
}

/** Stops a process for good: it then takes no notice of any signal but SIGKILL. */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  // A signal that is sent before it stands still is acted on.
  while (!statusOf(pid, "State").startsWith("T")) await new Promise(setImmediate);
}

/** The value of a line of `/proc/<pid>/status`. */
export function statusOf(pid: number, name: string): string {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  return new RegExp(`^${name}:\\s*(.*)$`, "m").exec(text)?.[1] ?? "";
}
