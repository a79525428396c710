import type { Host } from "../host/host.ts";
import { systemCodeOf, WarderError } from "../vm/error.ts";
import { layoutProblem } from "../vm/layout.ts";
import type { JailLayout } from "../vm/record.ts";

/** Which directory something is, whatever lies at its path later. */
interface Identity {
  readonly device: number;
  readonly inode: number;
}

/**
 * Makes sure, right before a jail is removed, that what its layout says lies where jails lie, and is one: a layout comes
 * out of a database, and directories may have been moved, replaced by links or mounted over since.
 *
 * @param made - Of the jail's root, as it was made. Absent: not known, as after a boot, which numbers devices anew.
 * @throws {@link WarderError} `cleanup-failed`: nothing was removed.
 */
export function refuseStrangePlace(host: Host, layout: JailLayout, made?: Identity): void {
  const problem = placeProblem(host, layout) ?? rootProblem(host, layout, made);
  if (problem !== undefined) throw refusal(layout.directory, problem);
}

function refusal(directory: string, problem: string): WarderError {
  return new WarderError("cleanup-failed", {
    doing: `removing the jail ${directory}`,
    why: `${problem}, so nothing was removed`,
    cure: "Look at what lies there, and remove it by hand; then run `warder gc`",
  });
}

function placeProblem(host: Host, layout: JailLayout): string | undefined {
  const isJailed = layout.root !== layout.directory;
  const malformed = layoutProblem(layout, isJailed);
  if (malformed !== undefined) return malformed;
  const { base, directory } = layout;
  const above = directory.slice(0, directory.lastIndexOf("/"));
  const strange = pathProblem(host, above === base ? [base, directory] : [base, above, directory]);
  if (strange !== undefined) return strange;
  const owner = host.files.inspect(directory)?.uid;
  const isOurs = owner === undefined || owner === host.processes.effectiveUid;
  return isOurs ? undefined : `${directory} belongs to user ${owner}`;
}

/**
 * Makes sure that a directory is reached without a link, all on one file system.
 *
 * @param paths - From the directory of all jails down to it, each below the one before.
 * @throws {@link WarderError} `cleanup-failed`.
 */
export function refuseLinks(host: Host, paths: readonly string[]): void {
  const problem = pathProblem(host, paths);
  if (problem !== undefined) throw refusal(paths.at(-1) ?? "", problem);
}

function pathProblem(host: Host, paths: readonly string[]): string | undefined {
  const [base = "/"] = paths;
  const device = host.files.inspect(base)?.device;
  // Nothing is there without its base.
  if (device === undefined) return undefined;
  if (resolve(host, base) !== base) return `${base} is reached by a link`;
  for (const path of paths) {
    const facts = host.files.inspect(path);
    if (facts === undefined) return undefined;
    if (facts.kind !== "directory") return `${path} is a ${facts.kind}`;
    if (facts.device !== device) return `${path} is another file system than ${base}`;
  }
  return undefined;
}

function rootProblem(host: Host, { root }: JailLayout, made: Identity | undefined): string | undefined {
  const facts = host.files.inspect(root);
  if (facts === undefined || made === undefined) return undefined;
  const isMade = facts.device === made.device && facts.inode === made.inode;
  return isMade ? undefined : `${root} is not the directory that was made for the VM`;
}

function resolve(host: Host, path: string): string | undefined {
  try {
    return host.files.resolve(path);
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
