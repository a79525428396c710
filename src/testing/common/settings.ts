/**
 * What `installFakes` bakes into the launchers: a JSON file whose path is the programs' first argument, because the
 * manager starts them with an empty environment.
 */
import { readdirSync, readFileSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import type { GuestBehaviour } from "../firecracker/behaviour.ts";

/**
 * A fault of one Firecracker process:
 * - `never-bind`: starts, and never opens its API socket;
 * - `exit-before-bind`: writes its first log line, then ends with exit code 1;
 * - `slow-bind:<ms>`: opens its API socket that much later;
 * - `ignore-sigterm`: SIGTERM has no effect;
 * - `api-error:<path>`: the first request on this path gets a 400;
 * - `wrong-id`: the API answers with another VM's id;
 * - `hang-on-api`: accepts connections and never answers.
 */
export type Fault =
  | "never-bind"
  | "exit-before-bind"
  | `slow-bind:${number}`
  | "ignore-sigterm"
  | `api-error:/${string}`
  | "wrong-id"
  | "hang-on-api";

/** Where the fake jailer finds cgroups: the host's own, or a directory that stands in for them. */
export type CgroupRoots = { readonly kind: "host" } | { readonly kind: "simulated"; readonly root: string };

/** The contents of the settings file. */
export interface Settings {
  readonly version: string;
  /** Behaviour of kernels that carry no marker. */
  readonly guest: GuestBehaviour;
  /** Faults of every Firecracker started, on top of the queued ones. */
  readonly faults: readonly Fault[];
  /** Whether chown, mknod, setuid, cgroups and namespaces are real; undefined means: as root, yes. */
  readonly privileged?: boolean;
  readonly cgroups: CgroupRoots;
  /** TAP devices that "exist"; undefined means: as root, those of the host, else any. */
  readonly taps?: readonly string[];
}

/** Settings together with the directory they lie in, which also holds the fault queue and the records. */
export interface Installation {
  readonly home: string;
  readonly settings: Settings;
}

/** Reads the settings that a launcher names. */
export function readInstallation(path: string | undefined): Installation {
  if (path === undefined) throw new Error("This program is started by a launcher that installFakes wrote");
  return { home: dirname(path), settings: JSON.parse(readFileSync(path, "utf8")) };
}

/** Whether this run does what needs root, or only writes it down. */
export function isPrivileged(settings: Settings): boolean {
  return settings.privileged ?? process.getuid?.() === 0;
}

/** The directory of queued faults, one file for each process to come. */
export function faultQueue(home: string): string {
  return join(home, "faults");
}

/** Takes the oldest queued set of faults; of two processes starting together each gets another one. */
export function claimFaults({ home, settings }: Installation): readonly Fault[] {
  const queue = faultQueue(home);
  for (const name of readdirSync(queue).sort()) {
    const path = join(queue, name);
    try {
      const faults: Fault[] = JSON.parse(readFileSync(path, "utf8"));
      unlinkSync(path);
      return [...settings.faults, ...faults];
    } catch (error) {
      if (isMissing(error)) continue;
      throw error;
    }
  }
  return settings.faults;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
