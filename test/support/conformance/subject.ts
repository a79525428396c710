/** What the conformance suite runs against, and how a case gets a place of its own to run in. */
import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { releaseOf } from "../../../src/testing/common/release.ts";
import type { Requirement } from "../capability.ts";

/** A jailer and a Firecracker, real or not. */
export interface Subject {
  readonly name: string;
  readonly jailer: string;
  readonly firecracker: string;
  readonly version: string;
  /** Makes a kernel; the same file is given to the real Firecracker and to the fake one. */
  readonly kernel: (behaviour: RealGuest) => Uint8Array;
  readonly uid: number;
  readonly gid: number;
  /** Where directories for jails are made: a file system mounted neither `nodev` nor `noexec`. */
  readonly base: string;
  /** Whether owners, device nodes and user ids are real. */
  readonly isPrivileged: boolean;
  /** Whether the processes are started as somebody else than the tests. */
  readonly startAs?: { readonly uid: number; readonly gid: number };
  /** Directories of cgroup controllers, where they may be used. */
  readonly cgroupV1?: ((controller: string) => string) | undefined;
  readonly cgroupV2?: string | undefined;
  /** What this machine lacks to run the subject. */
  readonly requirement: Requirement;
  /** What it lacks to run guests with it. */
  readonly guestRequirement: Requirement;
  /** What it lacks to give them TAPs; nothing where any name passes for one. */
  readonly tapRequirement?: Requirement;
}

/** The behaviours that a real guest can have. */
export type RealGuest = "hello" | "tick" | "idle" | "flood" | "panic" | "ctrl-alt-del";

/** The version that a Firecracker says it has. */
export function versionOf(firecracker: string): string {
  const { stdout } = spawnSync(firecracker, ["--version"], { encoding: "utf8", env: {} });
  const version = /^Firecracker v(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  if (version === undefined) throw new Error(`${firecracker} does not say its version`);
  return version;
}

/** A new directory for one case. */
export function makeDirectory(subject: Subject): string {
  return mkdtempSync(join(subject.base, "warder-conformance-"));
}

/** Whether the subject fails like this one's jailers: by a panic, with signal SIGABRT. */
export function panics(subject: Subject): boolean {
  return releaseOf(subject.version).jailerPanics;
}
