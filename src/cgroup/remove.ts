import type { Host } from "../host/host.ts";
import { systemCodeOf, WarderError } from "../vm/error.ts";
import { vmIdProblem } from "../vm/id.ts";
import type { HostPath } from "../vm/path.ts";
import type { CgroupPlacement } from "../vm/record.ts";
import { directoriesOf } from "./place.ts";

/** How long to try, and what ends the trying. */
export interface RemoveOptions {
  /**
   * Most milliseconds for all directories together; default 2000. A process that was killed leaves its cgroup only
   * when it was reaped, and a VM with much memory takes tens of milliseconds to die.
   */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const DEFAULT_TIMEOUT_MS = 2_000;
const FIRST_PAUSE_MS = 0.5;
const LONGEST_PAUSE_MS = 20;

/** Cgroups that something made inside a VM's own; Firecracker makes none. */
const MOST_LEVELS = 8;

/**
 * Removes a VM's cgroups, after its process has ended. Idempotent: what is gone already is fine. Never touches the
 * parent, which VMs share. Normally one `rmdir` a directory, and nothing is read before.
 *
 * @returns Whether anything was there.
 * @throws {@link WarderError} `cleanup-failed` where a directory is still busy when time is up, with who holds it;
 * every directory is tried before. `internal` where the placement is not `<mount>/<parent>/<id>`: nothing is removed.
 */
export async function removeCgroups(
  host: Host,
  placement: CgroupPlacement,
  { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: RemoveOptions = {},
): Promise<boolean> {
  const directories = directoriesOf(placement);
  for (const directory of directories) refuseStrangePath(placement, directory);
  const deadline = host.clock.monotonic() + timeoutMs;
  const outcomes = await Promise.allSettled(
    directories.map((directory) => removeBusy(host, directory, deadline, signal)),
  );
  signal?.throwIfAborted();
  const [first, ...others] = outcomes.flatMap((outcome, index) =>
    outcome.status === "fulfilled"
      ? []
      : [WarderError.from(outcome.reason, "cleanup-failed", `removing the cgroup ${directories[index]}`)],
  );
  if (first !== undefined) throw first.withCleanup(others);
  return outcomes.some((outcome) => outcome.status === "fulfilled" && outcome.value);
}

/**
 * Kills every process in a VM's cgroup at once, forks included. For v2 from kernel 5.14.
 *
 * @returns False where the kernel, or cgroup v1, has no such thing, or the cgroup is gone: then nothing was killed.
 */
export function killCgroup(host: Host, placement: CgroupPlacement): boolean {
  const [directory] = directoriesOf(placement);
  if (placement.version === 1 || directory === undefined) return false;
  refuseStrangePath(placement, directory);
  try {
    host.files.writeControl(`${directory}/cgroup.kill`, "1");
    return true;
  } catch (error) {
    if (["ENOENT", "ENODEV"].includes(systemCodeOf(error) ?? "")) return false;
    throw WarderError.from(error, "internal", `killing the processes of ${directory}`);
  }
}

/** A placement is read from the store; what is not `<mount>/<parent…>/<id>` must not be acted on. */
function refuseStrangePath(placement: CgroupPlacement, directory: HostPath): void {
  const parts = placement.path.split("/").slice(1);
  const mount = directory.slice(0, -placement.path.length);
  const isPlain = parts.every((part) => part !== "" && part !== "." && part !== "..");
  const hasParent = parts.length >= 2 && vmIdProblem(parts.at(-1) ?? "") === undefined;
  const isBelowMount = directory.endsWith(placement.path) && mount.startsWith("/") && !/\/\.{0,2}(\/|$)/.test(mount);
  if (placement.path.startsWith("/") && isPlain && hasParent && isBelowMount) return;
  throw new WarderError("internal", {
    doing: `removing the cgroup ${directory}`,
    why: `it is not a mount followed by a parent and a VM's id, as ${JSON.stringify(placement.path)} should be`,
  });
}

async function removeBusy(host: Host, directory: string, deadline: number, signal?: AbortSignal): Promise<boolean> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    const outcome = await attempt(host, directory);
    if (outcome !== "busy") return outcome === "removed";
    if ((await removeInside(host, directory, MOST_LEVELS)) && (await attempt(host, directory)) !== "busy") return true;
    if (host.clock.monotonic() >= deadline) throw stillBusy(host, directory);
    await host.clock.sleep(pauseMs, signal);
  }
}

async function attempt(host: Host, directory: string): Promise<"removed" | "gone" | "busy"> {
  try {
    return (await host.files.removeDirectory(directory)) ? "removed" : "gone";
  } catch (error) {
    // ENOTEMPTY is not the kernel's word for it, but that of directories which only look like cgroups.
    if (["EBUSY", "ENOTEMPTY"].includes(systemCodeOf(error) ?? "")) return "busy";
    throw error;
  }
}

/** Removes the cgroups inside one, innermost first; true where one was removed. */
async function removeInside(host: Host, directory: string, levels: number): Promise<boolean> {
  if (levels === 0) return false;
  let removed = false;
  for (const child of childrenOf(host, directory)) {
    const below = await removeInside(host, child, levels - 1);
    removed = (await attempt(host, child)) === "removed" || below || removed;
  }
  return removed;
}

function childrenOf(host: Host, directory: string): string[] {
  try {
    const paths = host.files.list(directory).map((name) => `${directory}/${name}`);
    return paths.filter((path) => host.files.inspect(path)?.kind === "directory");
  } catch (error) {
    if (["ENOENT", "ENODEV"].includes(systemCodeOf(error) ?? "")) return [];
    throw error;
  }
}

function stillBusy(host: Host, directory: string): WarderError {
  return new WarderError("cleanup-failed", {
    doing: `removing the cgroup ${directory}`,
    why: `it is still in use${holders(host, directory)}`,
    cure: "End what runs in it, then remove the VM again",
  });
}

/** Who is in the cgroup, as far as it can be read: a process that was not reaped yet is not listed. */
function holders(host: Host, directory: string): string {
  try {
    const pids = host.files.readText(`${directory}/cgroup.procs`).split("\n").filter(Boolean);
    return pids.length === 0 ? " by a process that has ended but was not reaped" : ` by ${pids.slice(0, 5).join(", ")}`;
  } catch {
    // Only evidence for the message: without it the message is shorter.
    return "";
  }
}
