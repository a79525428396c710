import type { ServiceImpl } from "@connectrpc/connect";
import type { HostService } from "../../../gen/warder/v1/host_service_pb.js";
import type { DoctorReport } from "../../doctor/report.ts";
import type { Collection } from "../../lifecycle/collect.ts";
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
  readonly collect: (options: { readonly isDryRun: boolean }) => Promise<Collection>;
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

    async collectGarbage({ dryRun }) {
      const { leftovers, failures } = await machine.collect({ isDryRun: dryRun });
      return { leftovers: leftovers.map((each) => ({ ...each })), failures: [...failures] };
    },
  };
}

function toResource(budget: Budget) {
  const { name, unit, total, reserved } = budget;
  const [wholeTotal, wholeReserved, left] = [total, reserved, leftOf(budget)].map((each) => BigInt(Math.floor(each)));
  return { name, unit, total: wholeTotal ?? 0n, reserved: wholeReserved ?? 0n, left: left ?? 0n };
}
