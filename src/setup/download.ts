import { createHash } from "node:crypto";
import type { Clock } from "../host/host.ts";
import { messageOf, systemCodeOf, WarderError } from "../vm/error.ts";
import type { HostPath } from "../vm/path.ts";
import { type Release, sumOf } from "./release.ts";

/** Writes a new file, for root alone (mode 0600), from bytes as they come. What was written stays where it fails. */
export type WriteStream = (path: HostPath, source: AsyncIterable<Uint8Array>, signal: AbortSignal) => Promise<void>;

/** How far a download is. */
export interface DownloadProgress {
  readonly url: string;
  readonly receivedBytes: number;
  /** Absent where the server doesn't say. */
  readonly totalBytes?: number;
}

/** What a download needs. */
export interface DownloadDeps {
  readonly clock: Clock;
  readonly writeStream: WriteStream;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof fetch;
}

/** Bounds of a download. */
export interface DownloadOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Most time without an answer to a request. Default 5 000: a machine without internet is told so at once. */
  readonly answerTimeoutMs?: number;
  /** Most time for the whole. Default 600 000. */
  readonly timeoutMs?: number;
  /** Most bytes of an archive. Default 256 MiB; releases have some 30. */
  readonly maxBytes?: number;
}

const ANSWER_TIMEOUT_MS = 5_000;
const TIMEOUT_MS = 600_000;
const MAX_BYTES = 256 * 1024 * 1024;
/** One line of `sha256sum`. */
const SUMS_MAX_BYTES = 4096;

/**
 * Fetches the archive of a release into a file and checks it against the release's own sums, which are fetched first.
 *
 * @throws {@link WarderError} `download-failed`, or `aborted` where the caller gave up.
 */
export async function downloadRelease(
  release: Release,
  to: HostPath,
  deps: DownloadDeps,
  options: DownloadOptions,
): Promise<void> {
  await withinTime(release, deps.clock, options, async (signal) => {
    const expected = sumOf(await fetchText(release.sumsUrl, deps, options, signal), release.archive);
    if (expected === undefined) throw new Error(`${release.sumsUrl} has no sum for ${release.archive}`);
    const found = await fetchFile(release.archiveUrl, to, deps, options, signal);
    if (found !== expected) throw new Error(`the archive's SHA-256 is ${found}, and the release says ${expected}`);
  });
}

async function withinTime(
  release: Release,
  clock: Clock,
  options: DownloadOptions,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const deadline = expiry(clock, timeoutMs, `it took longer than ${timeoutMs} ms`);
  try {
    await work(AbortSignal.any([options.signal, deadline.signal]));
  } catch (error) {
    if (options.signal.aborted)
      throw WarderError.from(options.signal.reason, "aborted", `downloading ${release.archiveUrl}`);
    throw downloadFailure(release, error);
  } finally {
    deadline.cancel();
  }
}

async function fetchText(
  url: string,
  deps: DownloadDeps,
  options: DownloadOptions,
  signal: AbortSignal,
): Promise<string> {
  const response = await request(url, deps, options, signal);
  const chunks: Uint8Array[] = [];
  for await (const chunk of bounded(response, SUMS_MAX_BYTES)) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

async function fetchFile(
  url: string,
  to: HostPath,
  deps: DownloadDeps,
  options: DownloadOptions,
  signal: AbortSignal,
): Promise<string> {
  const response = await request(url, deps, options, signal);
  const maxBytes = options.maxBytes ?? MAX_BYTES;
  const announced = Number(response.headers.get("content-length") ?? Number.NaN);
  if (announced > maxBytes) {
    await response.body?.cancel();
    throw new Error(`the archive has ${announced} bytes, more than the ${maxBytes} allowed`);
  }
  const hash = createHash("sha256");
  async function* observed(): AsyncGenerator<Uint8Array> {
    let receivedBytes = 0;
    for await (const chunk of bounded(response, maxBytes)) {
      hash.update(chunk);
      receivedBytes += chunk.byteLength;
      options.onProgress?.({ url, receivedBytes, ...(Number.isNaN(announced) ? {} : { totalBytes: announced }) });
      yield chunk;
    }
  }
  await deps.writeStream(to, observed(), signal);
  return hash.digest("hex");
}

/** A response whose status is 200, or an error. */
async function request(
  url: string,
  deps: DownloadDeps,
  options: DownloadOptions,
  signal: AbortSignal,
): Promise<Response> {
  const timeoutMs = options.answerTimeoutMs ?? ANSWER_TIMEOUT_MS;
  const patience = expiry(deps.clock, timeoutMs, `no answer came within ${timeoutMs} ms`);
  try {
    const response = await (deps.fetch ?? fetch)(url, { signal: AbortSignal.any([signal, patience.signal]) });
    if (response.status === 200) return response;
    await response.body?.cancel();
    throw new Error(`the server answered ${response.status} to ${url}`);
  } finally {
    patience.cancel();
  }
}

async function* bounded(response: Response, maxBytes: number): AsyncGenerator<Uint8Array> {
  let received = 0;
  for await (const chunk of response.body ?? []) {
    received += chunk.byteLength;
    if (received > maxBytes) throw new Error(`more than ${maxBytes} bytes came from ${response.url}`);
    yield chunk;
  }
}

/** A signal that fires after a while, unless it is cancelled. */
function expiry(clock: Clock, milliseconds: number, why: string): { readonly signal: AbortSignal; cancel(): void } {
  const fired = new AbortController();
  const cancelled = new AbortController();
  clock.sleep(milliseconds, cancelled.signal).then(
    () => fired.abort(new Error(why)),
    () => undefined,
  );
  return { signal: fired.signal, cancel: () => cancelled.abort() };
}

function downloadFailure(release: Release, error: unknown): WarderError {
  if (systemCodeOf(error) === "ENOSPC") return WarderError.from(error, "disk-full", `saving ${release.archive}`);
  return new WarderError("download-failed", {
    doing: `downloading ${release.archiveUrl}`,
    why: innermostMessage(error),
    cure: `Fetch ${release.archive} on a machine with internet and run \`warder setup --from FILE\``,
    cause: error,
  });
}

/** `fetch` hides what happened behind "fetch failed": the reason is its cause. */
function innermostMessage(error: unknown): string {
  let current = error;
  for (let depth = 0; depth < 8 && current instanceof Error && current.cause instanceof Error; depth++)
    current = current.cause;
  const code = systemCodeOf(current);
  return messageOf(current) || code || "the connection failed";
}
