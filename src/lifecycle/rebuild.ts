import type { Host } from "../host/host.ts";
import { DESCRIPTION_MAX_BYTES, parseDescription, type VmDescription } from "../store/description.ts";
import { ExclusiveLock } from "../store/lock.ts";
import { replaceDatabase } from "../store/replace.ts";
import { Store } from "../store/store.ts";
import { isWarderError, type WarderError } from "../vm/error.ts";
import { toVmId, vmIdProblem } from "../vm/id.ts";
import type { HostPath } from "../vm/path.ts";
import { isLive } from "../vm/state.ts";
import { findHolders } from "./id-holders.ts";
import { isStillRunning } from "./identity.ts";
import type { Machinery } from "./machinery.ts";
import { descriptionPath } from "./mirror.ts";

/** What a store is rebuilt from. */
export interface RebuildScope {
  readonly stateDir: HostPath;
  readonly chrootBase: HostPath;
  readonly uidRange: { readonly first: number; readonly count: number };
}

/** Rebuilding takes some milliseconds a VM. */
const OTHERS_TIMEOUT_MS = 10_000;

/**
 * Opens the store. One that is damaged is set aside, and rebuilt from what was written beside each VM's output and what
 * the host shows; nothing that runs is touched.
 *
 * @throws {@link WarderError} `store-failed`, `disk-full`; `store-damaged` where another process is about to rebuild it
 * and does not come to an end.
 */
export async function openStore(host: Host, scope: RebuildScope, warn: Machinery["warn"]): Promise<Store> {
  const path = `${scope.stateDir}/state.db`;
  try {
    return Store.open(path, host.files);
  } catch (error) {
    if (!isWarderError(error) || error.code !== "store-damaged") throw error;
    return await rebuildAlone(host, scope, error, warn);
  }
}

/**
 * Writes down once more VMs that run and that the store knows nothing of, although they were described: whoever removed
 * or restored the database took their records away. Others that were described are only leftovers.
 */
export function recoverLost(machinery: Machinery): void {
  const { host, store, settings, warn } = machinery;
  const known = new Set<string>(store.list().map(({ id }) => id));
  const unknown = host.files.list(`${settings.stateDir}/vms`).filter((name) => !known.has(name));
  for (const described of readDescriptions(host, settings, unknown, [])) {
    if (!isLive(described.record.state) || !isStillRunning(machinery, described.record)) continue;
    const { id } = described.record;
    const lost = store.restore(described).map(({ kind, value }) => `${kind} ${value}`);
    warn("VM runs and was not in the state database: written down again as it was described", { vm_id: id, lost });
  }
}

/** Several processes may find the damage at once: the first rebuilds, and the others find it done. */
async function rebuildAlone(
  host: Host,
  scope: RebuildScope,
  damage: WarderError,
  warn: Machinery["warn"],
): Promise<Store> {
  using lock = ExclusiveLock.take(`${scope.stateDir}/rebuild.lock`, OTHERS_TIMEOUT_MS);
  if (lock === undefined) throw damage;
  const path = `${scope.stateDir}/state.db`;
  try {
    return Store.open(path, host.files);
  } catch (error) {
    if (!isWarderError(error) || error.code !== "store-damaged") throw error;
  }
  const stamp = new Date(host.clock.now()).toISOString().replaceAll(/[^0-9TZ]/g, "");
  const fresh = `state-${stamp}.db`;
  const { restored, left } = await fill(host, scope, `${scope.stateDir}/${fresh}`);
  const aside = replaceDatabase(host.files, path, fresh, stamp);
  warn("the state database was damaged: it was set aside and rebuilt, and nothing that runs was touched", {
    why: damage.why,
    set_aside: aside,
    vms: restored,
    not_restored: left,
  });
  return Store.open(path, host.files);
}

/** Makes a new store out of what there is. */
async function fill(
  host: Host,
  scope: RebuildScope,
  path: string,
): Promise<{ readonly restored: number; readonly left: string[] }> {
  using store = Store.open(path, host.files);
  const left: string[] = [];
  let restored = 0;
  for (const described of readDescriptions(host, scope, host.files.list(`${scope.stateDir}/vms`), left)) {
    const lost = store.restore(described);
    restored++;
    left.push(...lost.map(({ kind, value }) => `the ${kind} ${value} of ${described.record.id}: another VM has it`));
  }
  await restUnknownIds(host, scope, store);
  return { restored, left };
}

/** Oldest first, as they were made; what is none is named. */
function readDescriptions(
  host: Host,
  { stateDir }: Pick<RebuildScope, "stateDir">,
  names: readonly string[],
  left: string[],
): VmDescription[] {
  const ids = names.filter((name) => vmIdProblem(name) === undefined);
  const found = ids.flatMap((id) => {
    const path = descriptionPath(stateDir, id);
    if (host.files.inspect(path)?.kind !== "file") return [];
    const parsed = parseDescription(host.files.readText(path, DESCRIPTION_MAX_BYTES), toVmId(id));
    if (!("problem" in parsed)) return [parsed];
    left.push(`${path}: ${parsed.problem}`);
    return [];
  });
  return found.sort((one, other) => one.record.createdAt - other.record.createdAt);
}

/** Ids that something on the host has, which no VM is known to have: they are nobody's to give out. */
async function restUnknownIds(host: Host, { chrootBase, uidRange }: RebuildScope, store: Store): Promise<void> {
  const ids = Array.from({ length: uidRange.count }, (_each, index) => uidRange.first + index);
  const never = new AbortController().signal;
  const held = await findHolders(host, { uids: ids, gids: ids }, { chrootBase, known: new Set() }, never);
  for (const kind of ["uid", "gid"] as const) {
    store.leases.rest(
      kind,
      held.filter((each) => each.kind === kind).map(({ id }) => id),
    );
  }
}
