import * as z from "zod";
import type { Host } from "../host/host.ts";
import { ExclusiveLock } from "../store/lock.ts";
import { WarderError } from "../vm/error.ts";
import type { HostPath } from "../vm/path.ts";
import type { ProcessIdentity } from "../vm/process.ts";

/**
 * What a process is to a state directory.
 *
 * - `manager`: the one that looks after every VM in it; another one is refused.
 * - `visitor`: works beside it, or without one: looks after the VMs that it starts or is asked for, and no others.
 */
export type Role = "manager" | "visitor";

const note = z.object({
  pid: z.int().positive(),
  startTicks: z.string().regex(/^\d+$/),
  bootId: z.string().min(1),
  since: z.string(),
});

/**
 * Makes this process the manager of a state directory. The lock itself is the kernel's: it is gone with the process,
 * however that ends. Beside it lies who has it, for others to read.
 *
 * @throws {@link WarderError} `state-locked` with the pid of the other one.
 */
export function becomeManager(host: Host, stateDir: HostPath): Disposable {
  const path = `${stateDir}/manager.lock`;
  const lock = ExclusiveLock.take(path);
  if (lock === undefined) throw managedElsewhere(stateDir, whoManages(host, stateDir));
  const since = new Date(host.clock.now()).toISOString();
  const text = `${JSON.stringify({ ...host.processes.self, since })}\n`;
  try {
    host.files.writeText(notePath(stateDir), text, { mode: 0o644, replace: true });
  } catch (error) {
    // Only told to others: a full disk must not keep a manager from its VMs.
    if (WarderError.from(error, "internal", "").code !== "disk-full") {
      lock.release();
      throw error;
    }
  }
  return {
    [Symbol.dispose]() {
      host.files.removeFile(notePath(stateDir));
      lock.release();
    },
  };
}

/** The manager of a state directory; `undefined` where there is none, or it can not be read who it is. */
export function whoManages(host: Host, stateDir: HostPath): ProcessIdentity | undefined {
  if (host.files.inspect(notePath(stateDir))?.kind !== "file") return undefined;
  const parsed = note.safeParse(parseJson(host.files.readText(notePath(stateDir), 4096)));
  if (!parsed.success) return undefined;
  const { pid, startTicks, bootId } = parsed.data;
  return host.processes.isAlive({ pid, startTicks, bootId }) ? { pid, startTicks, bootId } : undefined;
}

function notePath(stateDir: HostPath): string {
  return `${stateDir}/manager.json`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Half written, or not by us: it tells nothing.
    return undefined;
  }
}

function managedElsewhere(stateDir: HostPath, manager: ProcessIdentity | undefined): WarderError {
  const who = manager === undefined ? "another process" : `the process ${manager.pid}`;
  return new WarderError("state-locked", {
    doing: `becoming the manager of ${stateDir}`,
    why: `${who} is, and looks after every VM in it`,
    cure: 'Ask that one, or end it first: VMs go on. Open with `role: "visitor"` to work beside it',
  });
}
