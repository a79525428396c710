import { applyInsideRules, buildNetwork, openHost } from "../network/build.ts";
import { ensureGuard } from "../network/guard.ts";
import { refuseBusyPorts } from "../network/host-facts.ts";
import { networkPaths, outsideEnds } from "../network/namespace.ts";
import { proveNetwork } from "../network/prove.ts";
import { removeNetwork } from "../network/remove.ts";
import { publishedTableName } from "../network/rules/outside.ts";
import { findTaps, requireTaps, type UserTap } from "../network/user-made.ts";
import type { LedgerEntry } from "../store/ledger.ts";
import { WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import type { Control, ControlPhase } from "../vm/isolation.ts";
import type { VmNetwork } from "../vm/network/vm-network.ts";
import type { VmRecord } from "../vm/record.ts";
import { abortable } from "./abortable.ts";
import type { Machinery } from "./machinery.ts";
import { allocate, type NetworkHost, planInterfaces } from "./network-plan.ts";

/** Removal and restoration have no caller whose patience they could ask for. */
const OWN_TIMEOUT_MS = 60_000;

/**
 * Leases what a VM's network needs, and writes all of it down before any of it is made.
 *
 * @throws {@link WarderError} as {@link planInterfaces}, and `network-name-taken` for what is somebody else's.
 */
export async function reserveNetwork(machinery: NetworkHost, record: VmRecord, signal: AbortSignal): Promise<VmRecord> {
  const { host, store } = machinery;
  const { id, spec } = record;
  const interfaces = await planInterfaces(machinery, spec.networks ?? [], signal);
  return store.transaction(() => {
    const network = allocate(machinery, id, interfaces, record.network);
    refuseForeign(machinery, id, network);
    refuseBusyPorts(host, id, network);
    store.enter(id, ledgerOf(id, network));
    return store.update(id, (current) => ({ ...current, network }));
  });
}

/** Makes the network of a VM that {@link reserveNetwork} has written down; looks at what the caller has made of it. */
export async function makeNetwork(
  { host, store }: NetworkHost,
  record: VmRecord,
  signal: AbortSignal,
): Promise<VmRecord> {
  const { id, uid, gid, spec, network } = record;
  if (network === undefined) throw new TypeError(`${id} has no network to make`);
  const owner = { uid, gid };
  const taps = userTaps(network);
  if (taps.length > 0) await requireTaps(host, spec.netns, taps, owner, { signal });
  const guard = hasCable(network) ? guardOf(host) : undefined;
  // Told apart from the network's own failure, which goes first.
  guard?.catch(() => undefined);
  // The whole start has a deadline, which the signal keeps.
  const made = await buildNetwork(host, { id, network, owner }, { signal, timeoutMs: spec.startTimeoutMs });
  if (guard !== undefined) await abortable(guard, signal);
  return made === network ? record : store.update(id, (current) => ({ ...current, network: made }));
}

/** Reads a VM's network back: the host's rules about VMs, where somebody has thrown them away, are made once more. */
export async function readNetworkControls(
  { host }: NetworkHost,
  record: VmRecord,
  phase: ControlPhase,
  signal: AbortSignal | undefined,
): Promise<Control[]> {
  const { id, uid, gid, network, spec } = record;
  if (network === undefined) return [];
  const bounds = signal === undefined ? {} : { signal };
  const owner = { uid, gid };
  const prove = () => proveNetwork(host, { id, network, owner }, phase, bounds);
  const own = await findTaps(host, spec.netns, userTaps(network), owner, bounds);
  const controls = await prove();
  const isLost = controls.some(({ name, ok }) => !ok && hostRules.has(name));
  if (isLost) await restoreHostRules({ host }, record);
  return [...own.map((each) => ({ ...each, phase })), ...(isLost ? await prove() : controls)];
}

const hostRules = new Set(["network.guard", "network.published"]);

/**
 * Puts the rules of a VM that was taken over in force again, wherever they are not as they were made: while no manager
 * looked, somebody may have thrown all rules of the host away. Devices are not made again: the guest's have gone with them.
 *
 * @returns What is not as it was made even so.
 */
export async function restoreNetwork(machinery: NetworkHost, record: VmRecord): Promise<Control[]> {
  const { network } = record;
  if (network === undefined) return [];
  const found = await readNetworkControls(machinery, record, "running", undefined);
  const isLost = found.some(({ name, ok }) => !ok && name === "network.rules");
  if (!isLost || network.namespace === undefined) return found.filter(({ ok }) => !ok);
  await applyInsideRules(machinery.host, network.namespace, network, { timeoutMs: OWN_TIMEOUT_MS });
  return (await readNetworkControls(machinery, record, "running", undefined)).filter(({ ok }) => !ok);
}

/** Removes the network of a VM whose process is dead, if the ledger has it: what it has not is not this VM's. Idempotent. */
export async function removeVmNetwork({ host, store }: NetworkHost, { id, network }: VmRecord): Promise<void> {
  const isEntered = store.ledger(id).some(({ kind }) => kind === "namespace");
  if (network !== undefined && isEntered) await removeNetwork(host, id, network, { timeoutMs: OWN_TIMEOUT_MS });
}

async function restoreHostRules({ host }: Pick<NetworkHost, "host">, { id, network }: VmRecord): Promise<void> {
  guards.delete(host);
  await guardOf(host);
  if (network !== undefined) await openHost(host, id, network, { timeoutMs: OWN_TIMEOUT_MS });
}

const guards = new WeakMap<Machinery["host"], Promise<void>>();

/** The host's rules about VMs, put in force by the first VM that a process starts; whoever proves a VM looks at them. */
function guardOf(host: Machinery["host"]): Promise<void> {
  const known = guards.get(host);
  if (known !== undefined) return known;
  const made = ensureGuard(host, { timeoutMs: OWN_TIMEOUT_MS });
  guards.set(host, made);
  made.catch(() => guards.delete(host));
  return made;
}

function hasCable({ interfaces }: VmNetwork): boolean {
  return interfaces.some(({ uplink }) => uplink !== undefined && uplink.kind !== "cni");
}

function userTaps({ interfaces }: VmNetwork): UserTap[] {
  return interfaces.filter(({ mode }) => mode === "tap");
}

/** What lies there already is somebody else's: it must be seen before it stands in our ledger. */
function refuseForeign({ host }: NetworkHost, id: VmId, network: VmNetwork): void {
  const foreign = networkPaths(network, host.roots.sys).filter((path) => host.files.inspect(path) !== undefined);
  if (foreign.length === 0) return;
  throw new WarderError("network-name-taken", {
    doing: `making the network of ${id}`,
    why: `there is something already at ${foreign.join(" and ")}`,
    cure: "Use another id; `warder gc --dry-run` lists what no VM has",
  });
}

function ledgerOf(id: VmId, network: VmNetwork): LedgerEntry[] {
  const { namespace, interfaces } = network;
  if (namespace === undefined) return [];
  const isOpen = interfaces.some(
    ({ policy }) => policy !== undefined && policy.published.length + policy.hostPorts.length > 0,
  );
  return [
    { kind: "namespace", name: namespace.path },
    ...outsideEnds(network).map((name): LedgerEntry => ({ kind: "interface", name })),
    ...(isOpen ? [{ kind: "rules", name: publishedTableName(id) } as const] : []),
  ];
}
