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
  if (problem === undefined) return;
  throw new WarderError("cleanup-failed", {
    doing: `removing the jail ${layout.directory}`,
    why: `${problem}, so nothing was removed`,
    cure: "Look at what lies there, and remove it by hand; then run `warder gc`",
  });
}

function placeProblem(host: Host, layout: JailLayout): string | undefined {
  const isJailed = layout.root !== layout.directory;
  const malformed = layoutProblem(layout, isJailed);
  if (malformed !== undefined) return malformed;
  const { base, directory } = layout;
  const device = host.files.inspect(base)?.device;
  // Nothing is there without its base.
  if (device === undefined) return undefined;
  if (resolve(host, base) !== base) return `${base} is reached by a link`;
  const above = directory.slice(0, directory.lastIndexOf("/"));
  for (const path of above === base ? [base, directory] : [base, above, directory]) {
    const facts = host.files.inspect(path);
    if (facts === undefined) return undefined;
    if (facts.kind !== "directory") return `${path} is a ${facts.kind}`;
    if (facts.device !== device) return `${path} is another file system than ${base}`;
    if (path === directory && facts.uid !== host.processes.effectiveUid) return `${path} belongs to user ${facts.uid}`;
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
