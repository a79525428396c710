import type { FieldProblem } from "../../vm/error.ts";
import type { VmSpec } from "../../vm/spec.ts";
import { filesOf } from "./open-members.ts";

/** Where callers may take kernels and disks from who may not do everything on the host. */
export interface AssetPolicy {
  /** Directories, with all that lies below them. */
  readonly directories: readonly string[];
  /** The path with every symbolic link resolved; throws where nothing is there. */
  readonly resolve: (path: string) => string;
}

/**
 * Files that a caller may not have: the daemon reads them as root, and would put anybody's secrets into a disk of the
 * caller's VM. What is not there and what may not be had is told alike, so that nobody learns which it is.
 */
export function closedFilesIn(spec: VmSpec, { directories, resolve }: AssetPolicy): FieldProblem[] {
  const roots = directories.flatMap((each) => attempt(resolve, each));
  return filesOf(spec).flatMap(({ field, path }) => {
    const [real] = attempt(resolve, path);
    if (real !== undefined && roots.some((root) => isBelow(real, root))) return [];
    return [
      { field, problem: `${path} is not a file below ${directories.join(" or ") || "any directory for assets"}` },
    ];
  });
}

function isBelow(path: string, root: string): boolean {
  return path.startsWith(root.endsWith("/") ? root : `${root}/`);
}

function attempt(resolve: (path: string) => string, path: string): string[] {
  try {
    return [resolve(path)];
  } catch {
    return [];
  }
}
