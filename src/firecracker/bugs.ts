import { compareToRelease, type ReleaseName, type ReleaseVersion } from "./version.ts";

/** A defect of certain releases that a manager must work around. */
export interface KnownBug {
  readonly name: string;
  /** First release that has it. */
  readonly from: ReleaseName;
  /** First release without it; absent while none is out. */
  readonly until?: ReleaseName;
  /** What happens. */
  readonly what: string;
  /** What to do about it. */
  readonly advice: string;
  /** Upstream's issue or pull request. */
  readonly source: string;
}

/**
 * Defects that matter to a manager, from upstream's issues and, for 1.12.1, trial. Where a defect was mended on several
 * branches, it has a row for each.
 */
export const knownBugs: readonly KnownBug[] = Object.freeze([
  {
    name: "log-pipe-deadlock",
    from: "1.12",
    until: "1.17",
    what: "a log that goes to a pipe whose reader went away stops the whole process",
    advice: "Always pass a log path that is a file, or a FIFO that Firecracker opens itself",
    source: "tried with 1.12.1; mended after 1.16",
  },
  {
    name: "log-files-must-exist",
    from: "1.12",
    until: "1.14",
    what: "a log or metrics file that is not there ends the start",
    advice: "Make them beforehand, owned by the jail's user",
    source: "tried with 1.12.1",
  },
  {
    name: "fifo-needs-reader",
    from: "1.14",
    until: "1.14.2",
    what: "a log or metrics FIFO that nobody reads yet ends the start with ENXIO",
    advice: "Open the reading end before the start",
    source: "https://github.com/firecracker-microvm/firecracker/pull/5698",
  },
  {
    name: "diff-snapshot-corruption",
    from: "1.12",
    until: "1.14.2",
    what: "the memory file of a differential snapshot is wrong where guest memory has several slots (over 3 GiB on x86-64)",
    advice: "Take full snapshots of such VMs",
    source: "change log of 1.14.2 and 1.15.0",
  },
  {
    name: "vsock-after-restore",
    from: "1.16",
    until: "1.16.1",
    what: "after a restore, connections from guest to host may hang",
    advice: "Use 1.16.1 for snapshots of VMs with vsock",
    source: "https://github.com/firecracker-microvm/firecracker/issues/5969",
  },
  {
    name: "vsock-after-resume",
    from: "1.16",
    until: "1.17",
    what: "after a pause and resume, connections from host to guest hang for good",
    advice: "Do not pause a VM whose vsock is used",
    source: "https://github.com/firecracker-microvm/firecracker/pull/6100",
  },
  {
    name: "vsock-livelock-after-resume",
    from: "1.16",
    until: "1.17",
    what: "after a resume with vsock traffic under way, the main thread spins and the guest stands still",
    advice: "Do not pause a VM whose vsock is used",
    source: "https://github.com/firecracker-microvm/firecracker/issues/6074",
  },
]);

/** The defects of one release. */
export function knownBugsOf(version: ReleaseVersion): KnownBug[] {
  return knownBugs.filter(
    ({ from, until }) =>
      compareToRelease(version, from) >= 0 && (until === undefined || compareToRelease(version, until) < 0),
  );
}

/**
 * Format of the snapshots that a release writes, which is the only one it reads: Firecracker 1.12 to 1.17. From
 * `--snapshot-version`; `undefined` for a release that the table does not know.
 */
export function snapshotFormatOf(version: ReleaseVersion): number | undefined {
  if (version.major !== 1) return undefined;
  const formats: Readonly<Record<number, number>> = { 12: 6, 13: 8, 14: 8, 15: 9, 16: 10, 17: 11 };
  return formats[version.minor];
}
