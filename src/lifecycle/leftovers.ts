import type { Hierarchy } from "../cgroup/detect.ts";
import type { Host } from "../host/host.ts";
import { NAMESPACE_PREFIX, NAMESPACES } from "../network/namespace.ts";
import { OUTSIDE_PREFIX } from "../network/numbers.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import type { VmRecord } from "../vm/record.ts";
import type { Machinery } from "./machinery.ts";
import { type Due, dueOf, reconcile } from "./reconcile.ts";
import { pathsOf } from "./remove.ts";

/** Something that lies on the host and belongs to no VM that runs. */
export interface Leftover {
  readonly kind: "record" | "jail" | "cgroup" | "namespace" | "interface" | "output";
  /** Path; of a record the VM's id. */
  readonly name: string;
  /** Of this state directory's VMs: `warder gc` removes it. Otherwise it is somebody else's, and only listed. */
  readonly own: boolean;
  /** Why it is taken for a leftover, as a clause. */
  readonly why: string;
}

const reasons: Readonly<Record<Due, string>> = {
  remove: "its VM has ended, and its removal failed or was cut off",
  "take-back": "its manager ended while it started the VM",
  conclude: "its VM ended while nobody looked after it",
};

/** Looks for leftovers, and changes nothing. What is foreign may well be in use: by whom is not known here. */
export function surveyLeftovers(machinery: Machinery): Leftover[] {
  const records = machinery.store.list();
  // Whatever of a VM may be on the host stands in the ledger.
  const standing = records.filter(({ id }) => machinery.store.ledger(id).length > 0);
  const known = new Set(standing.flatMap(pathsOf));
  return [
    ...records.flatMap((record) => leftOf(machinery, record)),
    ...orphanedOutput(machinery, records),
    ...foreignJails(machinery, known),
    ...foreignCgroups(machinery, known),
    ...foreignNetworks(machinery.host, known),
  ];
}

/**
 * Removes what is this state directory's own among the leftovers.
 *
 * @returns What could not be removed, with the VM's id.
 */
export async function collectLeftovers(machinery: Machinery): Promise<{ id: string; error: unknown }[]> {
  const failures = await reconcile(machinery);
  for (const { name } of orphanedOutput(machinery, machinery.store.list())) {
    await machinery.host.files.removeTree(name).catch((error: unknown) => failures.push({ id: name, error }));
  }
  return failures;
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

/** `<base>/<exec>/<id>`, and the links `<base>/<id>`, of which no record here knows. */
function foreignJails({ host, settings }: Machinery, known: ReadonlySet<string>): Leftover[] {
  const base = settings.chrootBase;
  const entries = namesIn(host, base).filter((name) => !name.startsWith("."));
  const paths = entries.map((name) => toHostPath(`${base}/${name}`));
  const links = paths.filter((path) => host.files.inspect(path)?.kind === "link");
  const jails = paths
    .filter((path) => host.files.inspect(path)?.kind === "directory")
    .flatMap((path) => namesIn(host, path).map((name) => `${path}/${name}`));
  return foreign("jail", [...jails, ...links], known);
}

/** Groups beside those of our VMs, in every hierarchy. */
function foreignCgroups({ host, settings, cgroups }: Machinery, known: ReadonlySet<string>): Leftover[] {
  const hierarchies: readonly Hierarchy[] = [...cgroups.v1, ...(cgroups.v2 === undefined ? [] : [cgroups.v2])];
  const parents = new Set(hierarchies.map(({ directory }) => `${directory}/${settings.parentCgroup}`));
  const groups = [...parents].flatMap((parent) =>
    namesIn(host, parent)
      .map((name) => `${parent}/${name}`)
      .filter((path) => host.files.inspect(path)?.kind === "directory"),
  );
  return foreign("cgroup", groups, known);
}

/** Namespaces that are called as those of VMs are, and ends of cables. */
function foreignNetworks(host: Host, known: ReadonlySet<string>): Leftover[] {
  const devices = `${host.roots.sys}/class/net`;
  const startingWith = (directory: string, prefix: string) =>
    namesIn(host, directory)
      .filter((name) => name.startsWith(prefix))
      .map((name) => `${directory}/${name}`);
  return [
    ...foreign("namespace", startingWith(NAMESPACES, NAMESPACE_PREFIX), known),
    ...foreign("interface", startingWith(devices, OUTSIDE_PREFIX), known),
  ];
}

function kindOf(host: Host, { cgroup, network }: VmRecord, path: string): Leftover["kind"] {
  if (path === network?.namespace?.path) return "namespace";
  if (path.startsWith(`${host.roots.sys}/class/net/`)) return "interface";
  return Object.values<string>(cgroup?.directories ?? {}).includes(path) ? "cgroup" : "jail";
}

function foreign(kind: Leftover["kind"], paths: readonly string[], known: ReadonlySet<string>): Leftover[] {
  const why = "no VM of this state directory has it";
  return paths.filter((path) => !known.has(path)).map((name) => ({ kind, name, own: false, why }));
}

function namesIn(host: Host, directory: HostPath | string): string[] {
  return host.files.inspect(directory)?.kind === "directory" ? host.files.list(directory) : [];
}
