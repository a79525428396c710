import type { Host } from "../host/host.ts";
import { systemCodeOf } from "../vm/error.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import { nameOf, parentOf } from "./examine.ts";
import { compareVersions } from "./version.ts";
import type { BinaryPair } from "./vet.ts";

/** Deeper than the archives that hold Firecracker are nested. */
const SEARCH_DEPTH = 6;

/** Where the cache of binaries lies: one directory for each version. */
export function binDirectory(cacheDirectory: HostPath): HostPath {
  return toHostPath(`${cacheDirectory}/bin`);
}

/** The pair in one version's directory of the cache. */
export function cachedPair(cacheDirectory: HostPath, version: string): BinaryPair {
  return pairIn(toHostPath(`${binDirectory(cacheDirectory)}/v${version}`));
}

/** Firecracker and jailer under their plain names. */
export function pairIn(directory: HostPath): BinaryPair {
  return { firecracker: toHostPath(`${directory}/firecracker`), jailer: toHostPath(`${directory}/jailer`) };
}

/** Versions in the cache, newest first; whether they are any good is not looked at. */
export function cachedVersions(host: Host, cacheDirectory: HostPath): string[] {
  const versions = listOrNothing(host, binDirectory(cacheDirectory)).flatMap(
    (name) => /^v(\d+\.\d+\.\d+.*)$/.exec(name)?.[1] ?? [],
  );
  return versions.sort((left, right) => compareVersions(right, left));
}

/**
 * The jailer that goes with a Firecracker of which alone the path is known: beside it under the matching name
 * (`firecracker-v1.14.1` → `jailer-v1.14.1`), beside it as `jailer`, else on `PATH`.
 */
export function jailerFor(host: Host, firecracker: HostPath): HostPath | undefined {
  return counterpart(host, firecracker, "firecracker", "jailer");
}

/** The Firecracker that goes with a jailer: as {@link jailerFor}. */
export function firecrackerFor(host: Host, jailer: HostPath): HostPath | undefined {
  return counterpart(host, jailer, "jailer", "firecracker");
}

/**
 * Every pair in a directory and below, outermost first: `firecracker` with `jailer`, or the names of a release,
 * `firecracker-v1.16.1-x86_64` with `jailer-v1.16.1-x86_64`. No link is followed.
 */
export function pairsBelow(host: Host, directory: HostPath, depth = SEARCH_DEPTH): BinaryPair[] {
  const names = listOrNothing(host, directory);
  const here = names.flatMap((name) => {
    const suffix = /^firecracker(|-v\d+\.\d+\.\d+-[a-z0-9_]+)$/.exec(name)?.[1];
    if (suffix === undefined || !names.includes(`jailer${suffix}`)) return [];
    return { firecracker: toHostPath(`${directory}/${name}`), jailer: toHostPath(`${directory}/jailer${suffix}`) };
  });
  if (depth === 0) return here;
  const directories = names.map((name) => toHostPath(`${directory}/${name}`)).filter((path) => isDirectory(host, path));
  return [...here, ...directories.flatMap((path) => pairsBelow(host, path, depth - 1))];
}

function counterpart(host: Host, path: HostPath, own: string, other: string): HostPath | undefined {
  const directory = parentOf(path);
  const beside = [nameOf(path).replace(own, other), other]
    .map((name) => toHostPath(`${directory}/${name}`))
    .filter((each) => each !== path);
  return beside.find((each) => host.files.inspectFollowing(each)?.kind === "file") ?? host.commands.find(other);
}

function isDirectory(host: Host, path: HostPath): boolean {
  return host.files.inspect(path)?.kind === "directory";
}

function listOrNothing(host: Host, directory: HostPath): string[] {
  try {
    return host.files.list(directory);
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT" || systemCodeOf(error) === "ENOTDIR") return [];
    throw error;
  }
}
