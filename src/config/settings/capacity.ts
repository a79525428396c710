import * as z from "zod";
import { bytes, decimal, form, listOf, range, whole } from "../form.ts";
import { optional, setting } from "../setting.ts";

/** How much is accepted. */
export const admissionSettings = {
  maxVms: setting({
    schema: whole(1, 1_000_000),
    about: "Most VMs at a time (metald: 25, later 1000).",
    fallback: 1000,
    seed: ["MAX_PROCESSES"],
    reload: "now",
  }),
  cpuOvercommit: setting({
    schema: decimal(0.1, 1000),
    about: "vCPUs that are accepted for each of the host's processors. 1 overcommits nothing.",
    fallback: 4,
    presets: { development: 16, production: 1 },
    reload: "now",
  }),
  vmOverheadMib: setting({
    schema: whole(0, 65_536),
    about:
      "What is counted for a VM beside its guest's memory, in MiB: Firecracker's own, and what the kernel keeps for it.",
    fallback: 16,
    reload: "now",
  }),
  hostReserveMib: setting({
    schema: whole(0, 1_048_576),
    about: "Memory that is kept for the host, in MiB.",
    fallback: 512,
    reload: "now",
  }),
  diskReserveBytes: setting({
    schema: bytes(0, 1024 ** 5),
    about: "Room that must stay free where jails and state lie.",
    fallback: 1024 ** 3,
    reload: "now",
  }),
} as const;

const tenantName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);
const quota = z.strictObject({
  vms: whole(0, 1_000_000).optional(),
  vcpus: whole(0, 1_000_000).optional(),
  memoryMib: whole(0, 1_073_741_824).optional(),
});

/** What one tenant may have at most; what is absent counts as for every tenant. */
export interface TenantQuota {
  readonly vms?: number;
  readonly vcpus?: number;
  readonly memoryMib?: number;
}

const tenants = form(
  "tables such as [quota.tenants.acme], each with vms, vcpus or memory_mib",
  (given): Readonly<Record<string, TenantQuota>> | undefined => {
    const parsed = z.record(tenantName, quota).safeParse(camelCaseTables(given)).data;
    return parsed as Readonly<Record<string, TenantQuota>> | undefined;
  },
);

/** What every tenant may have at most. */
export const quotaSettings = {
  vms: optional({
    schema: whole(0, 1_000_000),
    about: "Most VMs of one tenant at a time.",
    fallbackText: "as many as admission allows",
    reload: "now",
  }),
  vcpus: optional({
    schema: whole(0, 1_000_000),
    about: "Most vCPUs of one tenant.",
    fallbackText: "as many as admission allows",
    reload: "now",
  }),
  memoryMib: optional({
    schema: whole(0, 1_073_741_824),
    about: "Most guest memory of one tenant, in MiB.",
    fallbackText: "as much as admission allows",
    reload: "now",
  }),
  tenants: setting({
    schema: tenants,
    about: "Other figures for tenants by name: [quota.tenants.acme] with vms, vcpus, memory_mib.",
    fallback: {},
    fallbackText: "the same for all",
    isFileOnly: true,
    reload: "now",
  }),
} as const;

const ipv4Pool = form("an IPv4 network from /8 to /28, such as 10.100.0.0/16", (given) =>
  poolOf(z.cidrv4(), given, 8, 28),
);
const ipv6Pool = form("an IPv6 network from /32 to /112, such as fd00::/64", (given) =>
  poolOf(z.cidrv6(), given, 32, 112),
);
const address = form("an IP address", (given) => z.union([z.ipv4(), z.ipv6()]).safeParse(given).data);

/** What VMs lease for their networks. */
export const networkSettings = {
  ipv4Pool: setting({
    schema: ipv4Pool,
    about: "Addresses for VMs.",
    fallback: "10.100.0.0/16",
    seed: ["NETWORK_VM_SUBNET_IPV4"],
    reload: "restart",
  }),
  ipv6Pool: setting({
    schema: ipv6Pool,
    about: "Addresses for VMs: a network for local use (RFC 4193), made of the letters of Warder's name.",
    fallback: "fd57:6172:6465::/64",
    seed: ["NETWORK_VM_SUBNET_IPV6"],
    reload: "restart",
  }),
  dns: setting({
    schema: listOf(address),
    about: "Name servers that guests are told of.",
    fallback: [],
    fallbackText: "none",
    reload: "restart",
  }),
  vsockCids: setting({
    schema: range("the first context id", "10000:10000", 3, 0xffff_fffe),
    about: "Context ids for vsock, of which each VM leases one.",
    fallback: { first: 10_000, count: 10_000 },
    reload: "restart",
  }),
  hostPorts: setting({
    schema: range("the first port", "20000:10000", 1, 65_535),
    about: "Ports of the host that are forwarded to guests. Below the ports that Linux gives to outgoing connections.",
    fallback: { first: 20_000, count: 10_000 },
    reload: "restart",
  }),
} as const;

function poolOf(schema: z.ZodType<string>, given: unknown, least: number, most: number): string | undefined {
  const { data } = schema.safeParse(given);
  const prefix = Number(data?.split("/")[1]);
  return prefix >= least && prefix <= most ? data : undefined;
}

/** `memory_mib`, as the file writes it, for `memoryMib`. */
function camelCaseTables(given: unknown): unknown {
  if (typeof given !== "object" || given === null) return given;
  const rename = (table: unknown) =>
    typeof table === "object" && table !== null
      ? Object.fromEntries(
          Object.entries(table).map(([name, value]) => [name === "memory_mib" ? "memoryMib" : name, value]),
        )
      : table;
  return Object.fromEntries(Object.entries(given).map(([tenant, table]) => [tenant, rename(table)]));
}
