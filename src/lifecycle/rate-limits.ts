import type { FirecrackerClient } from "../firecracker/client.ts";
import { isRateLimiter, toRateLimiterPatch } from "../firecracker/rate-limit.ts";
import { WarderError } from "../vm/error.ts";
import { type RateLimit, rateLimitSchema } from "../vm/rate-limit.ts";
import type { VmRecord } from "../vm/record.ts";
import type { VmSpec } from "../vm/spec.ts";

/** What of a VM can be limited: a disk, or one direction of a network interface. */
export type LimitedDevice =
  | { readonly drive: string }
  /** `rx` is towards the guest. */
  | { readonly network: string; readonly direction: "rx" | "tx" };

/** What a client needs for it. */
type Client = Pick<FirecrackerClient, "patchDrive" | "patchNetworkInterface" | "vmConfig">;

/** Parses a limit as a caller gives it; `null` is none. */
export function parseRateLimit(doing: string, input: unknown): RateLimit | undefined {
  if (input === null) return undefined;
  const parsed = rateLimitSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new WarderError("invalid-argument", {
    doing,
    why: "the limit is wrong",
    fields: parsed.error.issues.map(({ path, message }) => ({ field: path.join(".") || "limit", problem: message })),
  });
}

/** How a device is called in what is told of it. */
export function describeDevice(device: LimitedDevice): string {
  return "drive" in device ? `the disk ${device.drive}` : `the interface ${device.network} (${device.direction})`;
}

/**
 * The record with another limit on a device. Pure.
 *
 * @throws {@link WarderError} `invalid-argument` where the VM has no such device.
 */
export function withRateLimit(record: VmRecord, device: LimitedDevice, limit: RateLimit | undefined): VmRecord {
  const { drives } = record.spec;
  if ("drive" in device) {
    const index = drives.findIndex(({ id }) => id === device.drive);
    return withSpec(record, { drives: replace(record, device, drives, index, { rateLimit: limit }) });
  }
  const networks = record.spec.networks ?? [];
  const index = (record.network?.interfaces ?? []).findIndex(({ name }) => name === device.network);
  const member = device.direction === "rx" ? "rxRateLimit" : "txRateLimit";
  return withSpec(record, { networks: replace(record, device, networks, index, { [member]: limit }) });
}

function withSpec(record: VmRecord, change: Partial<VmSpec>): VmRecord {
  return { ...record, spec: { ...record.spec, ...change } };
}

function replace<Item extends object>(
  { id }: VmRecord,
  device: LimitedDevice,
  items: readonly Item[],
  index: number,
  change: Readonly<Record<string, unknown>>,
): Item[] {
  if (items[index] === undefined) {
    const problem = `the VM has not got ${describeDevice(device)}`;
    const fields = [{ field: "drive" in device ? "drive" : "network", problem }];
    throw new WarderError("invalid-argument", { doing: `limiting a device of ${id}`, why: "there is none", fields });
  }
  const changed = (item: Item) => {
    const entries = Object.entries({ ...item, ...change }).filter(([, value]) => value !== undefined);
    return Object.fromEntries(entries) as Item;
  };
  return items.map((item, at) => (at === index ? changed(item) : item));
}

/** The limit that the record has for a device. */
function wantedLimit({ spec, network }: VmRecord, device: LimitedDevice): RateLimit | undefined {
  if ("drive" in device) return spec.drives.find(({ id }) => id === device.drive)?.rateLimit;
  const index = (network?.interfaces ?? []).findIndex(({ name }) => name === device.network);
  const wanted = spec.networks?.[index];
  return device.direction === "rx" ? wanted?.rxRateLimit : wanted?.txRateLimit;
}

/** Every device of a VM that could be limited. */
function devicesOf({ spec, network }: VmRecord): LimitedDevice[] {
  const interfaces = network?.interfaces ?? [];
  return [
    ...spec.drives.map(({ id }) => ({ drive: id })),
    ...interfaces.flatMap(({ name }) => [
      { network: name, direction: "rx" as const },
      { network: name, direction: "tx" as const },
    ]),
  ];
}

/**
 * Brings one device of a running VM to the limit of its record, and reads that back.
 *
 * @throws {@link WarderError} `rate-limit-lost` where Firecracker says something else afterwards; what the client throws.
 */
export async function applyRateLimit(
  client: Client,
  record: VmRecord,
  device: LimitedDevice,
  signal: AbortSignal,
): Promise<void> {
  await patch(client, device, wantedLimit(record, device), signal);
  const [lost] = await differing(client, record, [device], signal);
  if (lost !== undefined) throw limitLost(record, [lost]);
}

/**
 * Looks whether every device has the limit of its record, and brings those to it that have not: after a resume, which
 * should change nothing, and after a restore. Asks nothing where nothing is limited.
 *
 * @throws {@link WarderError} `rate-limit-lost`; what the client throws.
 */
export async function ensureRateLimits(client: Client, record: VmRecord, signal: AbortSignal): Promise<void> {
  const devices = devicesOf(record);
  if (devices.every((device) => wantedLimit(record, device) === undefined)) return;
  const changed = await differing(client, record, devices, signal);
  if (changed.length === 0) return;
  for (const device of changed) await patch(client, device, wantedLimit(record, device), signal);
  const lost = await differing(client, record, changed, signal);
  if (lost.length > 0) throw limitLost(record, lost);
}

async function patch(client: Client, device: LimitedDevice, limit: RateLimit | undefined, signal: AbortSignal) {
  const limiter = toRateLimiterPatch(limit);
  if ("drive" in device) return client.patchDrive({ drive_id: device.drive, rate_limiter: limiter }, { signal });
  const member = device.direction === "rx" ? "rx_rate_limiter" : "tx_rate_limiter";
  return client.patchNetworkInterface({ iface_id: device.network, [member]: limiter }, { signal });
}

/** Devices that Firecracker does not limit as their record says. */
async function differing(
  client: Client,
  record: VmRecord,
  devices: readonly LimitedDevice[],
  signal: AbortSignal,
): Promise<LimitedDevice[]> {
  const config = await client.vmConfig({ signal });
  const interfaces = config["network-interfaces"];
  return devices.filter((device) => {
    const found: Readonly<Record<string, unknown>> | undefined =
      "drive" in device
        ? config.drives.find(({ drive_id }) => drive_id === device.drive)
        : interfaces.find(({ iface_id }) => iface_id === device.network);
    const member = "drive" in device ? "rate_limiter" : `${device.direction}_rate_limiter`;
    return !isRateLimiter(found?.[member], wantedLimit(record, device));
  });
}

function limitLost({ id }: VmRecord, devices: readonly LimitedDevice[]): WarderError {
  return new WarderError("rate-limit-lost", {
    doing: `limiting devices of ${id}`,
    why: `Firecracker does not say what it was told of ${devices.map(describeDevice).join(", ")}`,
    cure: "Set the limit again, or stop the VM where it must not run without",
  });
}
