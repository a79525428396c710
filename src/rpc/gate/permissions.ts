import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Health } from "../../../gen/grpc/health/v1/health_pb.js";
import { VmService as MetaldService } from "../../../gen/vmprovisioner/v1/vm_pb.js";
import { AccessService } from "../../../gen/warder/v1/access_service_pb.js";
import { HostService } from "../../../gen/warder/v1/host_service_pb.js";
import { VmService } from "../../../gen/warder/v1/vm_service_pb.js";
import type { Role } from "../../access/caller.ts";

/** Who may make a call, and what it is. */
export interface Permission {
  /** `anybody`: nobody is asked who it is. */
  readonly role: Role | "anybody";
  /** Only callers of all tenants: it is about the whole machine. */
  readonly isForHost?: true;
  /** Goes on for as long as the caller likes: a stream, or a wait. */
  readonly isLong?: true;
}

const look: Permission = { role: "read" };
const listen: Permission = { role: "read", isLong: true };
const operate: Permission = { role: "operate" };
const converse: Permission = { role: "operate", isLong: true };
const administer: Permission = { role: "admin", isForHost: true };

type Permissions<Service extends DescService> = { readonly [Name in keyof Service["method"]]: Permission };

const metald: Permissions<typeof MetaldService> = {
  createVm: operate,
  deleteVm: operate,
  bootVm: operate,
  shutdownVm: operate,
  pauseVm: operate,
  resumeVm: operate,
  rebootVm: operate,
  getVmInfo: look,
  listVms: look,
};

const vms: Permissions<typeof VmService> = {
  createVm: operate,
  runVm: operate,
  startVm: operate,
  stopVm: operate,
  killVm: operate,
  pauseVm: operate,
  resumeVm: operate,
  rebootVm: operate,
  removeVm: operate,
  // Ends a VM whose isolation has a gap.
  proveVm: operate,
  setRateLimit: operate,
  // May hold what the guest is to keep to itself.
  getMetadata: operate,
  setMetadata: operate,
  streamVsock: converse,
  getVm: look,
  listVms: look,
  getUsage: look,
  countDrops: look,
  waitVm: listen,
  watchVms: listen,
  streamOutput: listen,
};

const host: Permissions<typeof HostService> = {
  getHost: look,
  getCapacity: look,
  runDoctor: administer,
  collectGarbage: administer,
  // They tell of VMs of every tenant.
  listNetworks: administer,
  getNetwork: administer,
  removeNetwork: administer,
};

const access: Permissions<typeof AccessService> = {
  createToken: administer,
  listTokens: administer,
  revokeToken: administer,
};

const health: Permissions<typeof Health> = {
  check: { role: "anybody" },
  watch: { role: "anybody", isLong: true },
};

const tables: readonly (readonly [DescService, Readonly<Record<string, Permission>>])[] = [
  [MetaldService, metald],
  [VmService, vms],
  [HostService, host],
  [AccessService, access],
  [Health, health],
];

const byProcedure: ReadonlyMap<string, Permission> = new Map(
  tables.flatMap(([service, table]) =>
    service.methods.map((method): [string, Permission] => {
      const permission = table[method.localName];
      if (permission === undefined) throw new TypeError(`nobody may call ${procedureOf(method)}`);
      return [procedureOf(method), permission];
    }),
  ),
);

/** Every service of a daemon. */
export const services: readonly DescService[] = tables.map(([service]) => service);

/** Path of a call: `/warder.v1.VmService/GetVm`. */
export function procedureOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** Who may make the call of this path; `undefined` where there is none. */
export function permissionOf(procedure: string): Permission | undefined {
  return byProcedure.get(procedure);
}
