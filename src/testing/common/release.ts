/**
 * What differs between releases of Firecracker and its jailer. The fakes model 1.12.1, against which the conformance
 * suite runs; what later releases changed comes from their sources and change logs and was not run.
 */

type Numbers = readonly [major: number, minor: number, patch: number];

/** The differences that the fakes model, by the release that brought them. */
export interface Release {
  readonly version: string;
  /** Until 1.12 a failing jailer panics (SIGABRT, 134); from 1.13 it prints `Error: …` and exits 1. */
  readonly jailerPanics: boolean;
  /** Until 1.12 the resolved name of `--exec-file` must contain `firecracker`. */
  readonly execNameRule: boolean;
  /** From 1.13.2, 1.14.1 and 1.15 the copy refuses symlinks and hard links, and belongs to the jailed uid. */
  readonly hardenedCopy: boolean;
  /** From 1.14 missing log and metrics files are created; before, they are fatal. */
  readonly createsLogFiles: boolean;
  /** 1.14.0 and 1.14.1 only: a FIFO without a reader is ENXIO. */
  readonly fifoNeedsReader: boolean;
  /** 1.13: `--enable-pci`, dirty tracking on load, `imds_compat`, snapshots no longer in preview. */
  readonly v1_13: boolean;
  /** 1.14: `/serial`, `/pmem`, `/hotplug/memory`, balloon hinting and reporting. */
  readonly v1_14: boolean;
  /** 1.16: DELETE, `mtu`, `vsock_override`, `clock_realtime`, log lines limited to 10 per 5 s and call site. */
  readonly v1_16: boolean;
  /** What `--snapshot-version` prints, and what a snapshot must carry to be loaded. */
  readonly snapshotVersion: string;
}

/** The release the fakes model unless told otherwise. */
export const DEFAULT_VERSION = "1.12.1";

/** Describes a release from its version number, with or without a leading `v`. */
export function releaseOf(version: string): Release {
  const numbers = parseVersion(version);
  const since = (major: number, minor: number, patch = 0) => compare(numbers, [major, minor, patch]) >= 0;
  return {
    version: numbers.join("."),
    jailerPanics: !since(1, 13),
    execNameRule: !since(1, 13),
    hardenedCopy: since(1, 15) || (since(1, 14, 1) && !since(1, 15)) || (since(1, 13, 2) && !since(1, 14)),
    createsLogFiles: since(1, 14),
    fifoNeedsReader: since(1, 14) && !since(1, 14, 2),
    v1_13: since(1, 13),
    v1_14: since(1, 14),
    v1_16: since(1, 16),
    snapshotVersion: `${snapshotFormat(since)}.0.0`,
  };
}

function snapshotFormat(since: (major: number, minor: number, patch?: number) => boolean): number {
  if (since(1, 17)) return 11;
  if (since(1, 16)) return 10;
  if (since(1, 15)) return 9;
  if (since(1, 13)) return 8;
  if (since(1, 12)) return 6;
  return 5;
}

function parseVersion(version: string): Numbers {
  const match = /^v?(\d+)\.(\d+)\.(\d+)$/.exec(version);
  if (match === null) throw new Error(`Not a Firecracker version: ${version}`);
  return [Number(match[1]), Number(match[2]), Number(match[3])];
}

function compare(a: Numbers, b: Numbers): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
