import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { realBinaries } from "../support/capability-probes.ts";
import { type HostSnapshot, snapshotHost } from "../support/host-snapshot.ts";

/** The command line as users have it. */
export const program = join(import.meta.dirname, "../../bin/warder");

/** What a command line came to. */
export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs. */
export interface Running {
  readonly child: ChildProcess;
  /** What it has printed so far. */
  readonly printed: { stdout: string; stderr: string };
  readonly ended: Promise<Outcome>;
  /** Waits until it has printed something. */
  until(stream: "stdout" | "stderr", pattern: RegExp): Promise<void>;
}

/** Commands in processes of their own, on a state, jails and cgroups that nothing else uses. */
export interface Cli extends AsyncDisposable {
  readonly environment: Readonly<Record<string, string>>;
  readonly stateDir: string;
  readonly chrootBase: string;
  /** An id that no other test has. */
  id(name: string): string;
  start(...args: readonly string[]): Running;
  run(...args: readonly string[]): Promise<Outcome>;
  /** Runs a command that must succeed; its standard output, parsed. */
  json<T>(...args: readonly string[]): Promise<T>;
  /** What of VMs is on the host now, and which monitors run. */
  snapshot(): HostSnapshot & { readonly monitors: readonly string[] };
}

let count = 0;

/** Opens such a place; it is gone afterwards, with every VM in it. */
export function openCli(extra: Readonly<Record<string, string>> = {}): Cli {
  const directory = fs.mkdtempSync("/var/tmp/warder-cli-");
  const name = `warder-cli-${process.pid}-${++count}`;
  const binaries = realBinaries();
  const stateDir = `${directory}/state`;
  const chrootBase = `${directory}/jails`;
  const environment = {
    PATH: process.env.PATH ?? "",
    WARDER_STATE_DIR: stateDir,
    WARDER_CHROOT_BASE: chrootBase,
    WARDER_PARENT_CGROUP: name,
    ...(binaries === undefined ? {} : { WARDER_FIRECRACKER: binaries.firecracker, WARDER_JAILER: binaries.jailer }),
    // Code out of the cache is not counted exactly.
    ...(process.env.NODE_V8_COVERAGE === undefined ? {} : { NODE_DISABLE_COMPILE_CACHE: "1" }),
    ...extra,
  };
  const cli: Cli = {
    environment,
    stateDir,
    chrootBase,
    id: (suffix) => `${name.slice("warder-".length)}-${suffix}`,
    start: (...args) => start(program, args, environment),
    run: (...args) => cli.start(...args).ended,
    async json<T>(...args: readonly string[]) {
      const { status, stdout, stderr } = await cli.run(...args, "--json");
      assert.equal(status, 0, stderr);
      return JSON.parse(stdout) as T;
    },
    snapshot: () => ({
      ...snapshotHost({ chrootBase, parentCgroup: name }),
      monitors: monitors(name.slice("warder-".length)),
    }),
    async [Symbol.asyncDispose]() {
      const { stdout } = await cli.run("ps", "-aq");
      const ids = stdout.split("\n").filter((id) => id !== "");
      if (ids.length > 0) await cli.run("rm", "--force", ...ids);
      await eventually("the monitors end", () => cli.snapshot().monitors.length === 0);
      fs.rmSync(directory, { recursive: true, force: true });
      removeParents(name);
    },
  };
  return cli;
}

/** Starts a program and collects what it prints. */
export function start(file: string, args: readonly string[], environment: Readonly<Record<string, string>>): Running {
  const child = spawn(file, args, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  const printed = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      printed[name] += text;
    });
  }
  const ended = once(child, "close").then(([status]) => ({ status: status as number | null, ...printed }));
  return {
    child,
    printed,
    ended,
    async until(stream, pattern) {
      while (!pattern.test(printed[stream])) {
        const chunk = once(child[stream], "data").then(() => "more");
        const what = await Promise.race([chunk, ended.then(() => "ended"), pause(120_000, "late", { ref: false })]);
        assert.ok(
          what === "more" || pattern.test(printed[stream]),
          `${what} without ${pattern}: ${JSON.stringify(printed)}`,
        );
      }
    },
  };
}

/** Waits for a condition, with a deadline. */
export async function eventually(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `not in time: ${what}`);
    await pause(10);
  }
}

/** Pids of monitors whose VM's id begins so. */
export function monitors(idPrefix: string): string[] {
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => commandLineOf(pid).includes(`\0monitor\0${idPrefix}`));
}

function commandLineOf(pid: string): string {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It ended while it was looked at.
    return "";
  }
}

function removeParents(name: string): void {
  for (const top of fs.readdirSync("/sys/fs/cgroup")) {
    for (const path of [`/sys/fs/cgroup/${top}/${name}`, `/sys/fs/cgroup/${name}`]) {
      if (fs.existsSync(path)) fs.rmdirSync(path);
    }
  }
}
