import type { Client } from "@connectrpc/connect";
import type { HostService, SharedNetwork as WireNetwork } from "../../gen/warder/v1/host_service_pb.js";
import type { DoctorReport, Finding } from "../doctor/report.ts";
import type { CollectedLeftover, Collection } from "../lifecycle/collect.ts";
import type { SharedNetwork } from "../lifecycle/network-admin.ts";
import type { VmId } from "../vm/id.ts";
import { roleWords } from "../wire/access.ts";
import { fromTimestamp, present } from "../wire/values.ts";
import { asking, type CallOptions } from "./call.ts";

/** What a daemon tells of itself. */
export interface HostView {
  readonly version: string;
  readonly hostname: string;
  /** Empty where the caller is of one tenant. */
  readonly stateDir: string;
  /** The same. */
  readonly chrootBase: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Who the daemon takes the caller for. */
  readonly caller: { readonly name: string; readonly tenant?: string; readonly role?: "read" | "operate" | "admin" };
}

/** One thing that VMs use up. */
export interface ResourceView {
  readonly name: string;
  /** `bytes`, or empty for what is counted. */
  readonly unit: string;
  readonly total: number;
  readonly reserved: number;
  readonly left: number;
}

/** The machine that a daemon looks after. */
export class RemoteHost {
  readonly #calls: Client<typeof HostService>;

  /** @internal Made by `WarderClient`. */
  constructor(calls: Client<typeof HostService>) {
    this.#calls = calls;
  }

  /** Which daemon this is, and who it takes the caller for. */
  async describe(options: CallOptions = {}): Promise<HostView> {
    const answer = await asking("looking at the daemon", options, (given) => this.#calls.getHost({}, given));
    const { version, hostname, stateDir, chrootBase, startedAt, caller } = answer;
    const role = caller === undefined ? undefined : roleWords.fromWire(caller.role);
    return {
      ...{ version, hostname, stateDir, chrootBase },
      startedAt: fromTimestamp(startedAt),
      caller: {
        name: caller?.name ?? "",
        ...(caller === undefined || caller.tenant === "" ? {} : { tenant: caller.tenant }),
        ...(role === undefined ? {} : { role }),
      },
    };
  }

  /** How much there is of everything that VMs need, and how much is left to the caller. */
  async capacity(options: CallOptions = {}): Promise<ResourceView[]> {
    const { resources } = await asking("asking what is left", options, (given) => this.#calls.getCapacity({}, given));
    return resources.map(({ name, unit, total, reserved, left }) => {
      return { name, unit, total: Number(total), reserved: Number(reserved), left: Number(left) };
    });
  }

  /** Whether VMs can be jailed there, and what to do if not. `probe`: jail and run the built-in guest as well. */
  async doctor({ probe = false, ...options }: CallOptions & { probe?: boolean } = {}): Promise<DoctorReport> {
    const answer = await asking("examining the daemon's host", options, (given) =>
      this.#calls.runDoctor({ probe }, given),
    );
    const findings = answer.findings.map(({ code, title, status, found, cause, cure }) => {
      return present({ code, title, status, found, cause, cure }) as Finding;
    });
    return { canJail: answer.canJail, findings, durationMs: answer.durationMs };
  }

  /** Removes what VMs and managers that died have left, or only tells of it. `isForeign`: what is another manager's too. */
  async collectGarbage({
    isDryRun,
    isForeign = false,
    ...options
  }: CallOptions & { isDryRun: boolean; isForeign?: boolean }): Promise<Collection> {
    const request = { dryRun: isDryRun, foreign: isForeign };
    const answer = await asking("collecting garbage", options, (given) => this.#calls.collectGarbage(request, given));
    const leftovers = answer.leftovers.map(({ kind, name, own, why, usedBy, action }) => {
      return present({ kind, name, own, why, usedBy, action }) as CollectedLeftover;
    });
    return { leftovers, failures: answer.failures };
  }

  /** The networks that VMs share, by name. */
  async networks(options: CallOptions = {}): Promise<SharedNetwork[]> {
    const answer = await asking("listing networks", options, (given) => this.#calls.listNetworks({}, given));
    return answer.networks.map(fromWireNetwork);
  }

  /** One of them. */
  async network(name: string, options: CallOptions = {}): Promise<SharedNetwork> {
    const doing = `looking up the network ${name}`;
    const { network } = await asking(doing, options, (given) => this.#calls.getNetwork({ name }, given));
    if (network === undefined) throw new TypeError("the daemon told of a network without telling which");
    return fromWireNetwork(network);
  }

  /** Removes one that no VM is in. */
  async removeNetwork(name: string, options: CallOptions = {}): Promise<void> {
    await asking(`removing the network ${name}`, options, (given) => this.#calls.removeNetwork({ name }, given));
  }
}

function fromWireNetwork({ name, bridge, ipv4, ipv6, vms }: WireNetwork): SharedNetwork {
  const members = vms.map(({ id, addresses }) => ({ id: id as VmId, addresses }));
  return { name, bridge, ipv4, ipv6: ipv6 ?? null, vms: members };
}
