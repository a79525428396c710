import { WarderError } from "../vm/error.ts";

/** A release of Firecracker or of its jailer. */
export interface ReleaseVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** As the program says it, `-dev` and the like included. */
  readonly text: string;
}

/** A point in the order of releases: `1.14` or `1.14.2`. */
export type ReleaseName = `${number}.${number}` | `${number}.${number}.${number}`;

/** Oldest release that Warder drives. Upstream's support of 1.12 ended in December 2025; it is kept for who has it. */
export const OLDEST_RELEASE: ReleaseName = "1.12";

/** Newest release whose interface Warder was written against. */
export const NEWEST_KNOWN_RELEASE: ReleaseName = "1.16";

/**
 * Parses a version such as `1.12.1`, `v1.12.1` or `1.17.0-dev`; `undefined` where it is none. Never throws.
 */
export function parseVersion(text: string): ReleaseVersion | undefined {
  const match = /^v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:[-+][0-9A-Za-z.+-]{1,64})?$/.exec(text.slice(0, 128));
  if (match === null) return undefined;
  const [major, minor, patch] = match.slice(1, 4).map(Number) as [number, number, number];
  return { major, minor, patch, text: text.replace(/^v/, "") };
}

/**
 * Parses what `firecracker --version` or `jailer --version` prints: `Firecracker v1.12.1`, then lines that do not
 * matter (Firecracker 1.12 logs its own exit there).
 *
 * @throws {@link WarderError} `binary-unfit` where the output is not that program's.
 */
export function parseVersionOutput(program: "Firecracker" | "Jailer", output: string): ReleaseVersion {
  const first = output.slice(0, 512).split("\n", 1)[0] ?? "";
  const [name, word] = first.trim().split(" ");
  const version = name === program ? parseVersion(word ?? "") : undefined;
  if (version !== undefined) return version;
  throw new WarderError("binary-unfit", {
    doing: `asking ${program.toLowerCase()} for its version`,
    why: `it says ${JSON.stringify(first.slice(0, 80))}, not "${program} v…"`,
    cure: `Point the setting at the ${program.toLowerCase()} of an official release`,
  });
}

/** Negative, 0 or positive as `version` is older than, of, or newer than a release. `1.14` stands for all of 1.14. */
export function compareToRelease(version: ReleaseVersion, release: ReleaseName): number {
  const [major = 0, minor = 0, patch] = release.split(".").map(Number);
  if (version.major !== major) return version.major - major;
  if (version.minor !== minor) return version.minor - minor;
  return patch === undefined ? 0 : version.patch - patch;
}

/** What {@link requireSupported} found. */
export interface Support {
  /** False for a release newer than any that Warder knows: what it can do beside is not used, and its bugs are not known. */
  readonly isKnown: boolean;
}

/**
 * Refuses releases that Warder does not drive. Newer ones than it knows are accepted and flagged: Firecracker keeps its
 * API within a major version.
 *
 * @throws {@link WarderError} `version-mismatch`.
 */
export function requireSupported(version: ReleaseVersion): Support {
  if (compareToRelease(version, OLDEST_RELEASE) < 0) {
    throw mismatch(`it is ${version.text}, and ${OLDEST_RELEASE} is the oldest that is supported`);
  }
  if (version.major > 1) throw mismatch(`it is ${version.text}, and only releases 1.x are supported`);
  return { isKnown: compareToRelease(version, NEWEST_KNOWN_RELEASE) <= 0 };
}

/**
 * Refuses a pair of different releases: the jailer passes Firecracker arguments that both must know.
 *
 * @throws {@link WarderError} `version-mismatch`.
 */
export function requireSamePair(firecracker: ReleaseVersion, jailer: ReleaseVersion): void {
  if (firecracker.text === jailer.text) return;
  throw mismatch(`it is ${firecracker.text}, but the jailer is ${jailer.text}`);
}

function mismatch(why: string): WarderError {
  return new WarderError("version-mismatch", {
    doing: "checking the version of Firecracker",
    why,
    cure: "Install Firecracker and the jailer of one supported release (`warder setup`)",
  });
}
