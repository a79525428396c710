import type { ServiceImpl } from "@connectrpc/connect";
import type { HostService } from "../../../gen/warder/v1/host_service_pb.js";
import type { DoctorReport } from "../../doctor/report.ts";
import type { Collection, CollectOptions } from "../../lifecycle/collect.ts";
import type { SharedNetwork } from "../../lifecycle/network-admin.ts";
import type { Tenant } from "../../vm/belongings.ts";
import { roleWords } from "../../wire/access.ts";
import { toTimestamp } from "../../wire/values.ts";
import { type Budget, leftOf } from "../admission/budget.ts";
import { callOf, signalOf } from "../call.ts";

/** The machine, as far as the service tells of it. */
export interface MachinePort {
  readonly version: string;
  readonly hostname: string;
  readonly stateDir: string;
  readonly chrootBase: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly budgets: (tenant: Tenant | undefined) => readonly Budget[];
  readonly examine: (options: { readonly probe: boolean; readonly signal: AbortSignal }) => Promise<DoctorReport>;
  readonly collect: (options: CollectOptions) => Promise<Collection>;
  readonly networks: NetworksPort;
}

/** The networks that VMs share. */
export interface NetworksPort {
  list(): readonly SharedNetwork[];
  /** @throws {@link WarderError} `network-not-found`, `invalid-argument`. */
  get(name: string): SharedNetwork;
  /** @throws {@link WarderError} the same; `network-in-use`. */
  remove(name: string, signal: AbortSignal): Promise<void>;
}

/** `warder.v1.HostService` over the machine. Documented in its `.proto`. */
export function hostService(machine: MachinePort): ServiceImpl<typeof HostService> {
  return {
    getHost(_request, context) {
      const { caller } = callOf(context);
      const isOfAll = caller.tenant === undefined;
      return {
        version: machine.version,
        hostname: machine.hostname,
        ...(isOfAll ? { stateDir: machine.stateDir, chrootBase: machine.chrootBase } : {}),
        startedAt: toTimestamp(machine.startedAt),
        caller: { name: caller.name, tenant: caller.tenant ?? "", role: roleWords.toWire(caller.role) },
      };
    },

    getCapacity(_request, context) {
      return { resources: machine.budgets(callOf(context).caller.tenant).map(toResource) };
    },

    async runDoctor({ probe }, context) {
      const report = await machine.examine({ probe, signal: signalOf(context, "examining the host") });
      const { canJail, findings, durationMs } = report;
      return { canJail, findings: findings.map((finding) => ({ ...finding })), durationMs };
    },

    async collectGarbage({ dryRun, foreign }) {
      const { leftovers, failures } = await machine.collect({ isDryRun: dryRun, isForeign: foreign });
      return { leftovers: leftovers.map((each) => ({ ...each })), failures: [...failures] };
    },

    listNetworks() {
      return { networks: machine.networks.list().map(toWireNetwork) };
    },

    getNetwork({ name }) {
      return { network: toWireNetwork(machine.networks.get(name)) };
    },

    async removeNetwork({ name }, context) {
      await machine.networks.remove(name, signalOf(context, `removing the network ${name}`));
      return {};
    },
  };
}

function toWireNetwork({ ipv6, vms, ...rest }: SharedNetwork) {
  return {
    ...rest,
    ...(ipv6 === null ? {} : { ipv6 }),
    vms: vms.map(({ id, addresses }) => ({ id, addresses: [...addresses] })),
  };
}

function toResource(budget: Budget) {
  const { name, unit, total, reserved } = budget;
  const [wholeTotal, wholeReserved, left] = [total, reserved, leftOf(budget)].map((each) => BigInt(Math.floor(each)));
  return { name, unit, total: wholeTotal ?? 0n, reserved: wholeReserved ?? 0n, left: left ?? 0n };
}
