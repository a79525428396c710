import type { Host } from "../host/host.ts";
import { messageOf, WarderError } from "../vm/error.ts";
import type { HostPath } from "../vm/path.ts";
import type { Binaries } from "../vm/record.ts";
import { binDirectory, cachedPair, cachedVersions, firecrackerFor, jailerFor } from "./candidates.ts";
import { supportOf } from "./version.ts";
import { type BinaryPair, type VetContext, type VetDeps, vetPair } from "./vet.ts";

/** Where binaries can come from, in the order in which that is tried. `file` is tried only where it was named. */
export type SetupSource = "file" | "configured" | "path" | "cache" | "release" | "test-package";

/** What became of one source: that nothing is there, why it was passed over, or that it was taken. */
export interface Try {
  readonly source: SetupSource;
  readonly outcome: string;
}

/** Binaries that can be used, and how they were come by. */
export interface FoundBinaries extends Binaries {
  readonly source: SetupSource;
  /** One clause: `they are on PATH`. */
  readonly why: string;
  /** Everything that was tried, in order; the last one is what was taken. */
  readonly tried: readonly Try[];
  /** Why they are good for tests only; absent where they are good for everything. */
  readonly testOnly?: string;
}

/** Nothing was found, and why not. */
export interface NothingFound {
  readonly source?: undefined;
  readonly tried: readonly Try[];
}

/** Where to look. */
export interface FindRequest {
  /** Paths from a setting or the environment. One alone is enough where the other lies beside it. */
  readonly configured?: { readonly firecracker?: HostPath; readonly jailer?: HostPath };
  /** Warder's directory in the user's cache: `~/.cache/warder`, or `warder` in `XDG_CACHE_HOME`. */
  readonly cacheDirectory: HostPath;
  /** Take only this version, wherever binaries weren't configured. Default: any that is supported. */
  readonly version?: string;
  /** Take binaries too which upstream no longer supports, for tests. Default false. */
  readonly allowTestBinaries?: boolean;
}

interface Candidate {
  readonly source: SetupSource;
  readonly why: string;
  /** A text says why there is none. */
  readonly pair: BinaryPair | string;
}

/**
 * Finds Firecracker and the jailer on this machine, changing nothing: as configured, else on `PATH`, else in the cache,
 * newest first. A configured pair that can't be used is refused; others are passed over, with the reason in `tried`.
 *
 * @throws {@link WarderError} `binary-missing`, `binary-unfit` or `version-mismatch` for a configured pair.
 */
export async function findBinaries(
  host: Host,
  request: FindRequest,
  deps: VetDeps,
  signal: AbortSignal,
): Promise<FoundBinaries | NothingFound> {
  const context: VetContext = { ...deps, host, signal };
  const configured = configuredPair(host, request.configured ?? {});
  if (configured !== undefined) {
    return toFound(await vetPair(context, configured), "configured", "they were named in the settings", []);
  }
  const tried: Try[] = [{ source: "configured", outcome: "none was named" }];
  for (const { source, why, pair } of candidates(host, request.cacheDirectory)) {
    const outcome = typeof pair === "string" ? pair : await consider(context, pair, request);
    if (typeof outcome !== "string") return toFound(outcome, source, why, tried);
    tried.push({ source, outcome });
  }
  return { tried };
}

/** The result for a pair that is good, as the last of what was tried. */
export function toFound(binaries: Binaries, source: SetupSource, why: string, tried: readonly Try[]): FoundBinaries {
  const taken = { source, outcome: `took ${binaries.firecracker} and ${binaries.jailer}, version ${binaries.version}` };
  const support = supportOf(binaries.version);
  const testOnly = support.supported ? {} : { testOnly: `${support.why}: for tests, not for production` };
  return { ...binaries, source, why, tried: [...tried, taken], ...testOnly };
}

function configuredPair(host: Host, given: NonNullable<FindRequest["configured"]>): BinaryPair | undefined {
  const { firecracker, jailer } = given;
  if (firecracker !== undefined && jailer !== undefined) return { firecracker, jailer };
  if (firecracker !== undefined) {
    return { firecracker, jailer: jailerFor(host, firecracker) ?? refuseHalf("jailer", firecracker) };
  }
  if (jailer !== undefined) {
    return { firecracker: firecrackerFor(host, jailer) ?? refuseHalf("firecracker", jailer), jailer };
  }
  return undefined;
}

function refuseHalf(missing: "firecracker" | "jailer", given: HostPath): never {
  throw new WarderError("binary-missing", {
    doing: `looking for the ${missing} that goes with ${given}`,
    why: "there is none beside it or on PATH, and none was named",
    cure: "Name both, with --firecracker and --jailer",
  });
}

function candidates(host: Host, cacheDirectory: HostPath): Candidate[] {
  const versions = cachedVersions(host, cacheDirectory);
  const cached = versions.map((version) => cachedPair(cacheDirectory, version));
  return [
    { source: "path", why: "they are on PATH", pair: pairOnPath(host) },
    ...cached.map((pair) => ({ source: "cache", why: "they were installed before", pair }) as const),
    ...(cached.length > 0
      ? []
      : [{ source: "cache", why: "", pair: `none in ${binDirectory(cacheDirectory)}` } as const]),
  ];
}

function pairOnPath(host: Host): BinaryPair | string {
  const firecracker = host.commands.find("firecracker");
  const jailer = host.commands.find("jailer");
  if (firecracker !== undefined && jailer !== undefined) return { firecracker, jailer };
  if (firecracker === undefined && jailer === undefined) return "neither is on PATH";
  return firecracker === undefined ? `${jailer} without Firecracker` : `${firecracker} without a jailer`;
}

/** The binaries, or why they are passed over. */
async function consider(context: VetContext, pair: BinaryPair, request: FindRequest): Promise<Binaries | string> {
  try {
    const binaries = await vetPair(context, pair);
    const objection = objectionTo(binaries.version, request);
    return objection === undefined ? binaries : `passed over ${binaries.firecracker}: ${objection}`;
  } catch (error) {
    context.signal.throwIfAborted();
    return `passed over ${pair.firecracker}: ${messageOf(error)}`;
  }
}

function objectionTo(version: string, { version: wanted, allowTestBinaries }: FindRequest): string | undefined {
  if (wanted !== undefined) return version === wanted ? undefined : `it is ${version}, and ${wanted} was asked for`;
  const support = supportOf(version);
  return support.supported || allowTestBinaries === true ? undefined : support.why;
}
