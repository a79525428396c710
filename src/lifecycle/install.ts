import type { Config } from "../config/config.ts";
import type { DownloadProgress } from "../setup/download.ts";
import { type FindRequest, type FoundBinaries, findBinaries, type NothingFound } from "../setup/find.ts";
import { ensureBinaries, type SetupRequest } from "../setup/setup.ts";
import { versionReader } from "./binaries.ts";
import type { ThisMachine } from "./this-machine.ts";

/** What a caller can say about setting up; the rest is configured. */
export type InstallRequest = Pick<SetupRequest, "from" | "sha256" | "version">;

/** Finds Firecracker and the jailer as configured, else installs them: what `warder setup` does. Safe to repeat. */
export function installBinaries(
  { host, config }: ThisMachine,
  request: InstallRequest,
  options: { readonly signal: AbortSignal; readonly onProgress?: (progress: DownloadProgress) => void },
): Promise<FoundBinaries> {
  const writeStream = host.files.writeStream.bind(host.files);
  return ensureBinaries(host, { ...whereToLook(config), ...request }, { ...versionReader(host), writeStream }, options);
}

/** Finds Firecracker and the jailer as a start would, changing nothing. */
export function lookForBinaries(
  { host, config }: ThisMachine,
  signal: AbortSignal,
): Promise<FoundBinaries | NothingFound> {
  return findBinaries(host, whereToLook(config), versionReader(host), signal);
}

function whereToLook({ firecracker, jailer, cacheDir, allowTestBinaries }: Config): FindRequest {
  const configured = {
    ...(firecracker === undefined ? {} : { firecracker }),
    ...(jailer === undefined ? {} : { jailer }),
  };
  return { configured, cacheDirectory: cacheDir, allowTestBinaries };
}
