import type { DaemonAddress } from "../../client/transport.ts";
import type { WarderClient } from "../../client/warder-client.ts";
import type { Config, ConfigOverrides } from "../../config/config.ts";
import type { Host } from "../../host/host.ts";
import { openThisMachine } from "../../lifecycle/this-machine.ts";
import { isWarderError, WarderError } from "../../vm/error.ts";
import { settingName } from "../usage.ts";

/** How a command gets to VMs. */
export type Way =
  | { readonly kind: "daemon"; readonly client: WarderClient }
  /** `refused`: there is a daemon, and this user may not use its socket. */
  | { readonly kind: "local"; readonly refused?: WarderError };

/** A daemon that is there and does not answer in this time is passed over; one that was named is waited for longer. */
const GLANCE_MS = 1_000;
const PATIENCE_MS = 10_000;

/** Files with a token or a certificate are far smaller. */
const FILE_MAX_BYTES = 1024 * 1024;

/** Flags that say how VMs are made in this process: a daemon has its own settings. */
const localSettings = ["chrootBase", "firecracker", "jailer", "uidRange", "cgroupVersion"] as const;

/**
 * Chooses between a daemon and the host in this process: what `host` names; else the daemon of this state directory, where
 * one answers on its socket; else this process. Nothing that is wrong with a daemon that was not named keeps a command
 * from its work.
 *
 * @throws {@link WarderError} where a daemon was named: `daemon-unreachable`, `permission-denied`, `unauthenticated`,
 * `invalid-argument` for flags that it can not follow.
 */
export async function chooseWay(overrides: ConfigOverrides): Promise<Way> {
  const { host, config } = openThisMachine(overrides);
  if (config.host === "local") return { kind: "local" };
  const own = localFlags(overrides);
  if (config.host !== undefined) {
    refuseLocalFlags(own, config.host);
    return { kind: "daemon", client: await connect(addressOf(config.host, host, config), PATIENCE_MS, () => true) };
  }
  const { socket } = config.server;
  if (own.length > 0 || socket === "none" || !isSocket(host, socket)) return { kind: "local" };
  try {
    const isItsManager = (stateDir: string) => stateDir === "" || stateDir === config.stateDir;
    return {
      kind: "daemon",
      client: await connect(addressOf(`unix://${socket}`, host, config), GLANCE_MS, isItsManager),
    };
  } catch (error) {
    const isRefused = isWarderError(error) && error.code === "permission-denied";
    return { kind: "local", ...(isRefused ? { refused: error } : {}) };
  }
}

/** Asks the daemon who it is; where it is another one than that which is looked for, it is let go of. */
async function connect(
  address: DaemonAddress,
  timeoutMs: number,
  isMeant: (stateDir: string) => boolean,
): Promise<WarderClient> {
  const { WarderClient } = await import("../../client/warder-client.ts");
  const client = WarderClient.connect(address);
  try {
    // The signal ends what a deadline on the wire does not: a socket on which nobody listens any more.
    const signal = AbortSignal.timeout(timeoutMs);
    const { stateDir } = await client.host.describe({ timeoutMs, signal });
    if (isMeant(stateDir)) return client;
    throw new WarderError("daemon-unreachable", { doing: "looking for the daemon", why: `it looks after ${stateDir}` });
  } catch (error) {
    client[Symbol.dispose]();
    throw error;
  }
}

function isSocket(host: Host, path: string): boolean {
  try {
    return host.files.inspectFollowing(path)?.kind === "socket";
  } catch {
    // Not to be looked at is as good as not there.
    return false;
  }
}

function addressOf(given: string, host: Host, config: Config): DaemonAddress {
  const read = (path: string | undefined) => (path === undefined ? undefined : readSecret(host, path));
  const token = read(config.token)?.trim();
  const bearer = token === undefined ? {} : { token };
  if (given.startsWith("unix://")) return { socket: given.slice("unix://".length), ...bearer };
  const [ca, cert, key] = [config.hostCa, config.hostCert, config.hostKey].map(read);
  const tls = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
  return { url: given, ...bearer, ...(given.startsWith("https:") ? { tls } : {}) };
}

function readSecret(host: Host, path: string): string {
  const doing = `reading ${path}`;
  try {
    return host.files.readText(path, FILE_MAX_BYTES);
  } catch (error) {
    throw WarderError.from(error, "invalid-argument", doing);
  }
}

function localFlags(overrides: ConfigOverrides): string[] {
  const flags = localSettings.filter((name) => overrides[name] !== undefined).map(settingName);
  const set = Object.keys(overrides.set ?? {}).filter((key) => !/^(server\.|host|token$|state_dir$)/.test(key));
  return [...flags, ...set.map((key) => `--set ${key}`)];
}

function refuseLocalFlags(flags: readonly string[], daemon: string): void {
  if (flags.length === 0) return;
  throw new WarderError("invalid-argument", {
    doing: "reading the command line",
    why: flags.length === 1 ? "one argument is wrong" : `${flags.length} arguments are wrong`,
    fields: flags.map((field) => ({ field, problem: `has no meaning for ${daemon}, which has its own settings` })),
    cure: "Leave out what is listed, or use `--host local`",
  });
}
