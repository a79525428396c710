import type { Host } from "../host/host.ts";
import { WarderError } from "../vm/error.ts";
import type { HostPath } from "../vm/path.ts";
import type { Binaries } from "../vm/record.ts";
import { type Architecture, type BinaryExamination, examineBinary, nameOf } from "./examine.ts";
import { compareVersions } from "./version.ts";

/** Firecracker and jailer before anything is known of them. */
export interface BinaryPair {
  readonly firecracker: HostPath;
  readonly jailer: HostPath;
}

/** What vetting needs of other rooms. */
export interface VetDeps {
  readonly architecture: Architecture;
  /** Runs a binary with `--version` and gives the version, such as `1.16.1`. */
  readonly readVersion: (binary: HostPath, signal: AbortSignal) => Promise<string>;
}

/** What vetting works with. */
export interface VetContext extends VetDeps {
  readonly host: Host;
  readonly signal: AbortSignal;
}

/** From this version on Firecracker's file may have any name. */
const ANY_NAME_SINCE = "1.13.0";

/**
 * Makes sure that a pair can be used: both there and fit to be run as root, both of the same version. Only then are
 * they run, to ask for that version.
 *
 * @returns The pair with its symbolic links resolved.
 * @throws {@link WarderError} `binary-missing`, `binary-unfit` or `version-mismatch`.
 */
export async function vetPair(context: VetContext, pair: BinaryPair): Promise<Binaries> {
  const firecracker = refuseUnfit(examineBinary(context.host, pair.firecracker, context.architecture));
  const jailer = refuseUnfit(examineBinary(context.host, pair.jailer, context.architecture));
  const [version, jailerVersion] = await Promise.all([
    context.readVersion(firecracker, context.signal),
    context.readVersion(jailer, context.signal),
  ]);
  refuseMismatch({ firecracker, jailer, version }, jailerVersion);
  refuseName(firecracker, version);
  return { firecracker, jailer, version };
}

/**
 * Makes sure that a Firecracker alone can be used, where there is no jailer to go with it.
 *
 * @returns It with its symbolic links resolved.
 * @throws {@link WarderError} `binary-missing` or `binary-unfit`.
 */
export async function vetFirecracker(context: VetContext, path: HostPath): Promise<Omit<Binaries, "jailer">> {
  const firecracker = refuseUnfit(examineBinary(context.host, path, context.architecture));
  return { firecracker, version: await context.readVersion(firecracker, context.signal) };
}

function refuseUnfit({ path, resolved, problems }: BinaryExamination): HostPath {
  if (resolved !== undefined && problems.length === 0) return resolved;
  const isMissing = problems.some(({ kind }) => kind === "missing");
  throw new WarderError(isMissing ? "binary-missing" : "binary-unfit", {
    doing: `looking at ${path}`,
    why: problems.map(({ why }) => why).join("; "),
    cure: isMissing
      ? "Name a file that is there, or let `warder setup` install one"
      : "Use the static binary of an official release, owned by root and writable by nobody else, as its directories must be",
  });
}

function refuseMismatch({ firecracker, jailer, version }: Binaries, jailerVersion: string): void {
  if (version === jailerVersion) return;
  throw new WarderError("version-mismatch", {
    doing: `comparing ${firecracker} with ${jailer}`,
    why: `Firecracker is ${version} and the jailer is ${jailerVersion}`,
    cure: "Take both from the same release",
  });
}

function refuseName(firecracker: HostPath, version: string): void {
  if (compareVersions(version, ANY_NAME_SINCE) >= 0 || nameOf(firecracker).includes("firecracker")) return;
  throw new WarderError("binary-unfit", {
    doing: `looking at ${firecracker}`,
    why: `the jailer of ${version} takes only a file whose name has "firecracker" in it`,
    cure: "Rename the file, or use a newer release",
  });
}
