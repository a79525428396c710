import type { Architecture } from "./examine.ts";

/** Where the official releases are. */
export const OFFICIAL_RELEASES = "https://github.com/firecracker-microvm/firecracker/releases/download";

/** Names around one release for one architecture. */
export interface Release {
  readonly version: string;
  readonly archive: string;
  readonly archiveUrl: string;
  /** One line as `sha256sum` prints it: published beside the archive. */
  readonly sumsUrl: string;
}

/** What a release is called. Pure. */
export function releaseOf(version: string, architecture: Architecture, releasesUrl = OFFICIAL_RELEASES): Release {
  const archive = `firecracker-v${version}-${architecture}.tgz`;
  const archiveUrl = `${releasesUrl}/v${version}/${archive}`;
  return { version, archive, archiveUrl, sumsUrl: `${archiveUrl}.sha256.txt` };
}

/** The two members of a release's archive that are wanted, among the names that `tar` lists; `undefined` without both. */
export function wantedMembers(listing: string, architecture: Architecture): readonly string[] | undefined {
  const names = listing.split("\n");
  for (const name of names) {
    const match = /^((?:\.\/)?release-v([\w.-]+)-(x86_64|aarch64)\/)firecracker-v\2-\3$/.exec(name);
    if (match === null || match[3] !== architecture) continue;
    const jailer = `${match[1]}jailer-v${match[2]}-${match[3]}`;
    if (names.includes(jailer)) return [name, jailer];
  }
  return undefined;
}

/** The SHA-256 of a file in lines as `sha256sum` prints them, in lower case; `undefined` where the file is not listed. */
export function sumOf(sums: string, file: string): string | undefined {
  for (const line of sums.split("\n")) {
    const match = /^([0-9a-fA-F]{64}) [ *](.+)$/.exec(line.trim());
    if (match !== null && match[2]?.replace(/^.*\//, "") === file) return match[1]?.toLowerCase();
  }
  return undefined;
}
