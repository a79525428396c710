import { WarderError } from "../vm/error.ts";
import { compareToRelease, type ReleaseName, type ReleaseVersion } from "./version.ts";

/** Something that not every supported release can do. */
interface FeatureFacts {
  /** First release that has it. */
  readonly since: ReleaseName;
  /** What it is, as a noun phrase. */
  readonly what: string;
  /**
   * Where it appears in the API: an operation (`PUT /serial`), or a member of an operation's body (`mtu` of
   * `PUT /network-interfaces`). The path of an operation is without its id.
   */
  readonly uses?: readonly FeatureUse[];
}

/** Where a feature appears in the API. */
interface FeatureUse {
  readonly operation: string;
  /** Member of the body; a dot leads into an object. Absent: the operation as a whole. */
  readonly member?: string;
  /** Only with this value. */
  readonly value?: unknown;
}

const feature = (since: ReleaseName, what: string, ...uses: FeatureUse[]): FeatureFacts => ({ since, what, uses });
const whole = (operation: string): FeatureUse => ({ operation });
const member = (operation: string, name: string, value?: unknown): FeatureUse => ({
  operation,
  member: name,
  ...(value === undefined ? {} : { value }),
});

/**
 * The one table of what came when, from Firecracker's change log, its source and, for 1.12.1, trial. What every release
 * from 1.12 on has is not in it.
 */
export const features = Object.freeze({
  "network-overrides": feature(
    "1.12",
    "another TAP for a restored VM",
    member("PUT /snapshot/load", "network_overrides"),
  ),
  "pci-transport": feature("1.13", "virtio devices on PCI (`--enable-pci`)"),
  "imds-compat": feature("1.13", "metadata as EC2 serves it", member("PUT /mmds/config", "imds_compat")),
  "track-dirty-pages-on-load": feature(
    "1.13",
    "tracking of dirty pages from a restore on",
    member("PUT /snapshot/load", "track_dirty_pages"),
  ),
  "diff-without-tracking": feature("1.13", "differential snapshots without tracking of dirty pages"),
  "config-cpu-template": feature("1.13", "a custom CPU template in the configuration file"),
  "jailer-any-exec-name": feature("1.13", "a binary whose name does not hold `firecracker`"),
  serial: feature("1.14", "the serial port's output in a file of its own", whole("PUT /serial")),
  pmem: feature("1.14", "persistent memory devices", whole("PUT /pmem")),
  "hotplug-memory": feature(
    "1.14",
    "memory hotplug",
    whole("PUT /hotplug/memory"),
    whole("PATCH /hotplug/memory"),
    whole("GET /hotplug/memory"),
  ),
  "balloon-hinting": feature(
    "1.14",
    "hinting of free pages",
    member("PUT /balloon", "free_page_hinting"),
    whole("PATCH /balloon/hinting/start"),
    whole("PATCH /balloon/hinting/stop"),
    whole("GET /balloon/hinting/status"),
  ),
  "balloon-reporting": feature("1.14", "reporting of free pages", member("PUT /balloon", "free_page_reporting")),
  "makes-log-files": feature("1.14", "log and metrics files that are made where they are missing"),
  vmclock: feature("1.15", "a clock that tells the guest of a restore"),
  "network-mtu": feature("1.16", "an MTU for the guest", member("PUT /network-interfaces", "mtu")),
  "serial-rate-limiter": feature("1.16", "a rate limiter for the serial port", member("PUT /serial", "rate_limiter")),
  "pmem-rate-limiter": feature(
    "1.16",
    "a rate limiter for persistent memory",
    member("PUT /pmem", "rate_limiter"),
    whole("PATCH /pmem"),
  ),
  "device-unplug": feature(
    "1.16",
    "removal of devices from a running VM",
    whole("DELETE /drives"),
    whole("DELETE /network-interfaces"),
    whole("DELETE /pmem"),
  ),
  "vsock-override": feature(
    "1.16",
    "another vsock path for a restored VM",
    member("PUT /snapshot/load", "vsock_override"),
  ),
  "clock-realtime": feature(
    "1.16",
    "a guest clock that is advanced on restore",
    member("PUT /snapshot/load", "clock_realtime"),
  ),
  "transparent-huge-pages": feature(
    "1.17",
    "transparent huge pages",
    member("PUT /machine-config", "huge_pages", "Transparent"),
    member("PATCH /machine-config", "huge_pages", "Transparent"),
  ),
  "huge-pages-on-load": feature("1.17", "huge pages for a restored VM", member("PUT /snapshot/load", "huge_pages")),
} satisfies Record<string, FeatureFacts>);

/** A name in the table. */
export type Feature = keyof typeof features;

/** Whether a release has a feature. */
export function hasFeature(version: ReleaseVersion, name: Feature): boolean {
  return compareToRelease(version, features[name].since) >= 0;
}

/**
 * Refuses a feature that a release does not have, by its name and with the release that is needed.
 *
 * @throws {@link WarderError} `feature-unsupported`.
 */
export function requireFeature(version: ReleaseVersion, name: Feature, doing = `using ${features[name].what}`): void {
  if (hasFeature(version, name)) return;
  const { since, what } = features[name];
  throw new WarderError("feature-unsupported", {
    doing,
    why: `${what} (${name}) needs Firecracker ${since}, and this is ${version.text}`,
    cure: `Use Firecracker ${since} or newer, or leave it out`,
  });
}

/**
 * Refuses a request that a release would not understand. Firecracker itself answers 400 to an unknown member, with a
 * text that does not say which release knows it.
 *
 * @param operation - Method and path without its id: `PUT /drives`.
 * @throws {@link WarderError} `feature-unsupported`.
 */
export function requireOperation(version: ReleaseVersion, operation: string, body: unknown): void {
  for (const [name, { uses }] of Object.entries(features) as [Feature, FeatureFacts][]) {
    const used = (uses ?? []).some((use) => use.operation === operation && isUsed(use, body));
    if (used) requireFeature(version, name, `sending ${operation} to Firecracker`);
  }
}

function isUsed(use: FeatureUse, body: unknown): boolean {
  if (use.member === undefined) return true;
  if (typeof body !== "object" || body === null) return false;
  const value = (body as Record<string, unknown>)[use.member];
  if (value === undefined) return false;
  // What is switched off is as good as not said, but an old release refuses the member all the same.
  return use.value === undefined || use.value === value;
}
