import * as fs from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { PhaseProof } from "../../src/isolation/prove.ts";
import type { FileIdentity } from "../../src/isolation/wanted.ts";

/** What the names of everything that these tests make on this machine begin with; another process's differ. */
export const NAME_PREFIX = `warder-isolation-${process.pid}-`;

const cgroupRoot = "/sys/fs/cgroup";

/** The cgroup version of this machine. */
export const cgroupVersion = fs.existsSync(`${cgroupRoot}/cgroup.controllers`) ? 2 : 1;

/** A limit of each controller, by this machine's cgroup version. */
export const cgroupLimits = {
  1: {
    memory: { file: "memory.limit_in_bytes", value: "300000000" },
    cpu: { file: "cpu.cfs_quota_us", value: "100000" },
    pids: { file: "pids.max", value: "512" },
  },
  2: {
    memory: { file: "memory.max", value: "300000000" },
    cpu: { file: "cpu.max", value: "100000 100000" },
    pids: { file: "pids.max", value: "512" },
  },
}[cgroupVersion];

/** A controller that {@link cgroupLimits} has a limit of. */
export type Controller = keyof typeof cgroupLimits;

export const controllers = Object.keys(cgroupLimits) as readonly Controller[];

/** Where a controller is mounted. */
export function mountOf(controller: Controller): string {
  return cgroupVersion === 2 ? cgroupRoot : join(cgroupRoot, controller);
}

export function identify(path: string): FileIdentity {
  const { dev, ino } = fs.lstatSync(path);
  return { device: dev, inode: ino };
}

/** Opens a FIFO for writing; `undefined` where nobody reads it yet. */
export function openWriter(path: string): number | undefined {
  return unless("ENXIO", () => fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK));
}

/** Removes a cgroup with all below it, once the kernel has let go of the last process. */
export async function removeCgroup(directory: string): Promise<void> {
  const below = unless("ENOENT", () => fs.readdirSync(directory, { withFileTypes: true })) ?? [];
  for (const entry of below) if (entry.isDirectory()) await removeCgroup(join(directory, entry.name));
  await waitUntil(`${directory} is removed`, () => {
    const removed = unless("EBUSY", () => unless("ENOENT", () => fs.rmdirSync(directory)) ?? true);
    return removed === true;
  });
}

/** What is left of these tests on this machine. */
export function leftovers(): string[] {
  const places = ["/srv", "/run/netns", ...new Set(controllers.map(mountOf))];
  return places.flatMap((place) => {
    const names = unless("ENOENT", () => fs.readdirSync(place)) ?? [];
    return names.filter((name) => name.startsWith(NAME_PREFIX)).map((name) => join(place, name));
  });
}

/** State of the VM as Firecracker's API tells it; `undefined` where it does not answer. */
export function apiState(socketPath: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const call = request({ socketPath, path: "/" }, async (response) => {
      const chunks = await response.toArray();
      resolve((JSON.parse(Buffer.concat(chunks).toString()) as { state?: string }).state);
    });
    call.once("error", () => resolve(undefined));
    call.end();
  });
}

/** Names of the controls that are not as wanted. */
export function gapsOf(proof: PhaseProof): string[] {
  return proof.controls.filter((control) => !control.ok).map((control) => control.name);
}

/** What was found of a control. */
export function foundIn(proof: PhaseProof, name: string): string {
  return proof.controls.find((control) => control.name === name)?.found ?? "unread";
}

/** Waits for a condition, looking at it again and again. */
export async function waitUntil(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await pause(1);
  }
}

function unless<Value>(code: string, action: () => Value): Value | undefined {
  try {
    return action();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === code) return undefined;
    throw error;
  }
}
