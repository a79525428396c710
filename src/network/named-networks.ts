import * as z from "zod";
import type { Host } from "../host/host.ts";
import { systemCodeOf, WarderError } from "../vm/error.ts";
import { type InterfaceName, type NetworkName, networkNameProblem } from "../vm/network/names.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import { bridgeName } from "./numbers.ts";
import { type AddressPools, networksMax, type Subnets, subnetsOf } from "./pools.ts";
import { type Bounds, networkFailure, runTool } from "./tools.ts";

/** A network that VMs share. It is there from the first VM that names it until it is removed. */
export interface NamedNetwork {
  readonly name: NetworkName;
  /** Of its subnets, from 1 on. */
  readonly number: number;
  readonly bridge: InterfaceName;
  readonly subnets: Subnets;
}

const schema = z.strictObject({ number: z.int().min(1) });

/**
 * The networks that VMs of one state directory share: a small file each. Whoever changes them holds the store's lock, so
 * that no two get the same number.
 */
export class NamedNetworks {
  readonly #host: Host;
  readonly #directory: HostPath;
  readonly #pools: AddressPools;

  constructor(host: Host, directory: HostPath, pools: AddressPools) {
    this.#host = host;
    this.#directory = directory;
    this.#pools = pools;
  }

  /** All of them, by name. */
  list(): NamedNetwork[] {
    if (this.#host.files.inspect(this.#directory) === undefined) return [];
    const names = this.#host.files.list(this.#directory).filter((name) => networkNameProblem(name) === undefined);
    return names.flatMap((name) => this.get(name as NetworkName) ?? []);
  }

  /** `undefined` where no VM has named it yet. */
  get(name: NetworkName): NamedNetwork | undefined {
    try {
      const { number } = schema.parse(JSON.parse(this.#host.files.readText(this.#path(name), 4096)));
      return { name, number, bridge: bridgeName(name), subnets: subnetsOf(this.#pools, number) };
    } catch (error) {
      if (systemCodeOf(error) === "ENOENT") return undefined;
      throw WarderError.from(error, "network-failed", `reading the network ${name} in ${this.#directory}`);
    }
  }

  /**
   * The network of this name, made where it is not there yet.
   *
   * @throws {@link WarderError} `addresses-exhausted` where the pool has no room for another.
   */
  ensure(name: NetworkName): NamedNetwork {
    const existing = this.get(name);
    if (existing !== undefined) return existing;
    const taken = new Set(this.list().map(({ number }) => number));
    const most = networksMax(this.#pools);
    const number = Array.from({ length: most }, (_, index) => index + 1).find((each) => !taken.has(each));
    if (number === undefined) throw noRoom(name, most);
    this.#host.files.ensureDirectory(this.#directory, { mode: 0o700 });
    this.#host.files.writeText(this.#path(name), JSON.stringify({ number }), { mode: 0o600, replace: true });
    return { name, number, bridge: bridgeName(name), subnets: subnetsOf(this.#pools, number) };
  }

  /** Removes a network that no VM is in: its bridge, then what is known of it. Idempotent. */
  async remove(name: NetworkName, bounds: Bounds = {}): Promise<void> {
    const bridge = bridgeName(name);
    try {
      if (this.#host.files.inspect(`${this.#host.roots.sys}/class/net/${bridge}`) !== undefined)
        await runTool(this.#host, undefined, "ip", ["link", "delete", "dev", bridge, "type", "bridge"], bounds);
      this.#host.files.removeFile(this.#path(name));
    } catch (error) {
      throw networkFailure(error, `removing the network ${name}`);
    }
  }

  #path(name: NetworkName): string {
    return `${this.#directory}/${name}`;
  }
}

/** Where a state directory's networks are kept. */
export function networksDirectory(stateDir: HostPath): HostPath {
  return toHostPath(`${stateDir}/networks`);
}

function noRoom(name: NetworkName, most: number): WarderError {
  return new WarderError("addresses-exhausted", {
    doing: `making the network ${name}`,
    why: `there are ${most} networks already, and the pool has no room for another`,
    cure: "Remove networks that are not used (`warder network ls`), or widen the pool with WARDER_NETWORK_IPV4_POOL",
  });
}
