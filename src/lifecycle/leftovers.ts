import type { Host } from "../host/host.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import type { VmRecord } from "../vm/record.ts";
import { type Candidate, findCandidates } from "./foreign/candidates.ts";
import { ProcessIndex } from "./foreign/process-index.ts";
import { userOf } from "./foreign/use.ts";
import type { Machinery } from "./machinery.ts";
import { type Due, dueOf, type Failure, reconcile } from "./reconcile.ts";
import { pathsOf } from "./remove.ts";

/** Something that lies on the host and belongs to no VM that runs. */
export interface Leftover {
  readonly kind: "record" | "jail" | "link" | "cgroup" | "namespace" | "interface" | "output";
  /** Path; of a record the VM's id. */
  readonly name: string;
  /** Of this state directory's VMs: `warder gc` removes it. Otherwise it is another manager's. */
  readonly own: boolean;
  /** Why it is taken for a leftover, as a clause. */
  readonly why: string;
  /** What is another manager's may well be in use: by whom or what. */
  readonly usedBy?: string;
}

const reasons: Readonly<Record<Due, string>> = {
  remove: "its VM has ended, and its removal failed or was cut off",
  "take-back": "its manager ended while it started the VM",
  conclude: "its VM ended while nobody looked after it",
};

/** Looks for leftovers, and changes nothing. */
export async function surveyLeftovers(machinery: Machinery): Promise<Leftover[]> {
  return [...ownLeftovers(machinery), ...(await foreignLeftovers(machinery))];
}

/**
 * Removes what is this state directory's own among the leftovers.
 *
 * @returns What could not be removed, with the VM's id.
 */
export async function collectLeftovers(machinery: Machinery): Promise<Failure[]> {
  const failures = await reconcile(machinery);
  for (const { name } of orphanedOutput(machinery, machinery.store.list())) {
    await machinery.host.files.removeTree(name).catch((error: unknown) => failures.push({ id: name, error }));
  }
  return failures;
}

/** What is this state directory's own among the leftovers. */
export function ownLeftovers(machinery: Machinery): Leftover[] {
  const records = machinery.store.list();
  return [...records.flatMap((record) => leftOf(machinery, record)), ...orphanedOutput(machinery, records)];
}

async function foreignLeftovers(machinery: Machinery): Promise<Leftover[]> {
  const { host } = machinery;
  const processes = await ProcessIndex.take(host);
  return findForeign(machinery).map((candidate) => {
    const usedBy = userOf({ host, processes }, candidate);
    const { kind, path } = candidate;
    const why = "it looks like a VM's, and no VM of this state directory has it";
    return { kind, name: path, own: false, why, ...(usedBy === undefined ? {} : { usedBy }) };
  });
}

/** What may be another manager's: all that looks like a VM's, but for what of known VMs may be on the host. */
export function findForeign({ host, store, settings, cgroups }: Machinery): Candidate[] {
  const standing = new Set<string>(store.ledger().map(({ vmId }) => vmId));
  const known = new Set(
    store
      .list()
      .filter(({ id }) => standing.has(id))
      .flatMap(pathsOf),
  );
  const { chrootBase, parentCgroup } = settings;
  return findCandidates({ host, chrootBase, parentCgroup, cgroups, known });
}

function leftOf(machinery: Machinery, record: VmRecord): Leftover[] {
  const due = dueOf(machinery, record);
  if (due === undefined) return [];
  const why = reasons[due];
  const objects = pathsOf(record).filter((path) => machinery.host.files.inspect(path) !== undefined);
  return [
    { kind: "record", name: record.id, own: true, why },
    ...objects.map((name): Leftover => ({ kind: kindOf(machinery.host, record, name), name, own: true, why })),
  ];
}

/** Kept output of VMs that nothing is recorded of: of starts that failed, or of a removal that was cut off. */
function orphanedOutput({ host, settings }: Machinery, records: readonly VmRecord[]): Leftover[] {
  const known = new Set<string>(records.map(({ id }) => id));
  const directory = toHostPath(`${settings.stateDir}/vms`);
  return namesIn(host, directory)
    .filter((name) => !known.has(name))
    .map((name) => ({ kind: "output", name: `${directory}/${name}`, own: true, why: "nothing is recorded of its VM" }));
}

function kindOf(host: Host, { cgroup, network, layout }: VmRecord, path: string): Leftover["kind"] {
  if (path === network?.namespace?.path) return "namespace";
  if (path === layout.alias && path !== layout.directory) return "link";
  if (path.startsWith(`${host.roots.sys}/class/net/`)) return "interface";
  return Object.values<string>(cgroup?.directories ?? {}).includes(path) ? "cgroup" : "jail";
}

function namesIn(host: Host, directory: HostPath | string): string[] {
  return host.files.inspect(directory)?.kind === "directory" ? host.files.list(directory) : [];
}
