import type { Host } from "../host/host.ts";
import { systemCodeOf } from "../vm/error.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";

let scratches = 0;

/** Text of a file of the kernel's, without the newline at its end; `undefined` where there is no such file. */
export function readIfThere(host: Host, path: string): string | undefined {
  try {
    return host.files.readText(path).trimEnd();
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT" || systemCodeOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
}

/** The path itself, or the nearest directory above it that is there, symbolic links resolved. */
export function nearestExisting(host: Host, path: HostPath): HostPath {
  if (host.files.inspectFollowing(path) !== undefined) return host.files.resolve(path);
  return nearestExisting(host, parentOf(path));
}

/** The path with its symbolic links resolved, as it will be once what is missing has been made. */
export function resolveAsWillBe(host: Host, path: HostPath): HostPath {
  if (host.files.inspectFollowing(path) !== undefined) return host.files.resolve(path);
  return join(resolveAsWillBe(host, parentOf(path)), path.slice(path.lastIndexOf("/") + 1));
}

function parentOf(path: HostPath): HostPath {
  return toHostPath(path.slice(0, path.lastIndexOf("/")) || "/");
}

function join(directory: HostPath, name: string): HostPath {
  return toHostPath(`${directory === "/" ? "" : directory}/${name}`);
}

/**
 * Runs work with a new directory that only its maker can look into, and removes it afterwards, as well as any that a
 * killed doctor left there.
 */
export async function withScratch<T>(
  host: Host,
  parent: HostPath,
  work: (scratch: HostPath) => Promise<T>,
): Promise<T> {
  await removeLeftovers(host, parent);
  const { pid, startTicks } = host.processes.self;
  scratches += 1;
  const scratch = join(parent, `.warder-doctor-${pid}-${startTicks}-${scratches}`);
  host.files.makeDirectory(scratch, { mode: 0o700 });
  try {
    return await work(scratch);
  } finally {
    await host.files.removeTree(scratch);
  }
}

/** Whether a file, or a device, can be opened for reading. Why not is the error's code, such as `ENXIO`. */
export function openError(host: Host, path: string): string | undefined {
  try {
    host.files.readHead(path, 0);
    return undefined;
  } catch (error) {
    return systemCodeOf(error) ?? "unknown";
  }
}

async function removeLeftovers(host: Host, parent: HostPath): Promise<void> {
  for (const name of host.files.list(parent)) {
    const [, pid, startTicks] = /^\.warder-doctor-(\d+)-(\d+)-\d+$/.exec(name) ?? [];
    if (pid === undefined || host.processes.identify(Number(pid))?.startTicks === startTicks) continue;
    await host.files.removeTree(`${parent}/${name}`);
  }
}
