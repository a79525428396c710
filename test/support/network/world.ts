import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import type { VmInterface, VmNetwork } from "../../../src/vm/network/vm-network.ts";

/** Addresses of the world beyond the host, all on one machine: public, private, and a cloud's metadata service. */
export const world = {
  public: "93.184.216.34",
  public6: "2600:1::34",
  private: "10.9.9.9",
  private6: "fd00:9::9",
  metadata: "169.254.169.254",
  /** The host's own, on the way there. */
  host: "93.184.216.1",
  host6: "2600:1::1",
} as const;

/** Ports that the world, the host and the guests answer on. */
export const PORTS = [80, 443, 5000] as const;

/** How long a try waits: in a network of namespaces an answer takes a millisecond. */
const PATIENCE_S = process.env.LAB === "1" ? "10" : "0.7";

const children = new Set<ChildProcess>();

/** Ends what was started. */
export function endAll(): void {
  for (const child of children) child.kill("SIGKILL");
  children.clear();
}

/** Runs `ip` with words: a string is split at its blanks. */
export function ip(words: string): string {
  return execFileSync("ip", words.split(" "), { encoding: "utf8" });
}

/** Makes the world: a namespace beyond the host's eth0, which the host forwards to. */
export async function makeWorld(): Promise<void> {
  ip("netns add world");
  ip("link add eth0 type veth peer name eth0 netns world");
  for (const [namespace, addresses] of [
    [[], [`${world.host}/24`, `${world.host6}/64`]],
    [
      ["-n", "world"],
      [
        `${world.public}/24`,
        `${world.public6}/64`,
        `${world.private}/32`,
        `${world.private6}/128`,
        `${world.metadata}/32`,
      ],
    ],
  ] as const) {
    for (const address of addresses) {
      const nodad = address.includes(":") ? " nodad" : "";
      ip([...namespace, `addr add ${address} dev eth0${nodad}`].join(" "));
    }
    ip([...namespace, "link set dev eth0 up"].join(" "));
  }
  ip("-n world link set dev lo up");
  ip(`route add default via ${world.public}`);
  ip(`-6 route add default via ${world.public6}`);
  fs.writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
  fs.writeFileSync("/proc/sys/net/ipv6/conf/all/forwarding", "1");
  await serve("world");
  await serve(undefined);
}

/** Starts a server on {@link PORTS} in a namespace, or on the host. */
export async function serve(namespace: string | undefined, ports: readonly number[] = PORTS): Promise<void> {
  await start(namespace, "serve.py", ports.map(String));
}

/** What answers, by target (`tcp/93.184.216.34/80`): the address that was seen there, or why nothing did. */
export async function reach<Target extends string>(
  namespace: string | undefined,
  ...targets: readonly Target[]
): Promise<Record<Target, string>> {
  const child = spawn(...inside(namespace, ["python3", script("reach.py"), PATIENCE_S, ...targets]), {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout?.on("data", (chunk) => {
    text += String(chunk);
  });
  await once(child, "close");
  return JSON.parse(text) as Record<Target, string>;
}

/** Puts a guest behind a VM's interface, and answers with its namespace's name. */
export async function plugIn(network: VmNetwork, guest: string, index = 0): Promise<string> {
  const { tap, name, mac, ipv4, ipv6 } = network.interfaces[index] as VmInterface;
  if (!fs.existsSync(`/run/netns/${guest}`)) ip(`netns add ${guest}`);
  ip(`-n ${guest} link set dev lo up`);
  ip(`-n ${guest} tuntap add dev ${name} mode tap`);
  ip(`-n ${guest} link set dev ${name} address ${mac} up`);
  await start(undefined, "relay.py", [network.namespace?.name ?? "", tap, guest, name]);
  // As a guest does with what its kernel was told.
  if (ipv4 !== undefined) ip(`-n ${guest} addr add ${ipv4.address}/${ipv4.prefixLength} dev ${name}`);
  if (ipv4?.gateway !== undefined) ip(`-n ${guest} route add default via ${ipv4.gateway} dev ${name}`);
  if (ipv6 !== undefined) {
    ip(`-n ${guest} addr add ${ipv6.address}/${ipv6.prefixLength} dev ${name} nodad`);
    ip(`-n ${guest} -6 route add default via ${ipv6.gateway} dev ${name} metric ${1024 + index}`);
  }
  return guest;
}

/** Sends frames from a guest as they are. */
export function lie(guest: string, name: string, ...frames: readonly string[]): void {
  execFileSync(...inside(guest, ["python3", script("lie.py"), name, ...frames]));
}

async function start(namespace: string | undefined, file: string, args: readonly string[]): Promise<void> {
  const child = spawn(...inside(namespace, ["python3", script(file), ...args]), {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.add(child);
  await Promise.race([
    once(child.stdout as NonNullable<typeof child.stdout>, "data"),
    once(child, "exit").then(() => Promise.reject(new Error(`${file} ended at once`))),
  ]);
}

function inside(namespace: string | undefined, command: readonly [string, ...string[]]): [string, string[]] {
  const [file, ...args] = command;
  return namespace === undefined ? [file, args] : ["nsenter", [`--net=/run/netns/${namespace}`, ...command]];
}

function script(file: string): string {
  return join(import.meta.dirname, file);
}
