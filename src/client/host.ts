import type { Client } from "@connectrpc/connect";
import type { HostService } from "../../gen/warder/v1/host_service_pb.js";
import { roleWords } from "../wire/access.ts";
import { fromTimestamp } from "../wire/values.ts";
import { asking, type CallOptions } from "./call.ts";

/** What a daemon tells of itself. */
export interface HostView {
  readonly version: string;
  readonly hostname: string;
  /** Empty where the caller is of one tenant. */
  readonly stateDir: string;
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
    const answer = await asking("looking at the daemon", () => this.#calls.getHost({}, options));
    const { version, hostname, stateDir, startedAt, caller } = answer;
    const role = caller === undefined ? undefined : roleWords.fromWire(caller.role);
    return {
      ...{ version, hostname, stateDir },
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
    const { resources } = await asking("asking what is left", () => this.#calls.getCapacity({}, options));
    return resources.map(({ name, unit, total, reserved, left }) => {
      return { name, unit, total: Number(total), reserved: Number(reserved), left: Number(left) };
    });
  }
}
