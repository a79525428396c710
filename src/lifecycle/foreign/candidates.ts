import type { CgroupHost, Hierarchy } from "../../cgroup/detect.ts";
import type { Host } from "../../host/host.ts";
import { NAMESPACE_PREFIX, NAMESPACES } from "../../network/namespace.ts";
import type { HostPath } from "../../vm/path.ts";

/** Something of a kind that managers of microVMs make, which is not known here. */
export interface Candidate {
  readonly kind: "jail" | "link" | "cgroup" | "namespace" | "interface";
  readonly path: string;
}

/** Where to look. */
export interface ForeignScope {
  readonly host: Host;
  readonly chrootBase: HostPath;
  readonly parentCgroup: string;
  readonly cgroups: CgroupHost;
  /** Paths that are a known VM's. */
  readonly known: ReadonlySet<string>;
}

/** The jailer's own default, which other managers keep to. */
const COMMON_BASE = "/srv/jailer";

/** The cgroups below which jailers put VMs: Warder's default, and the jailer's where its program has its usual name. */
const COMMON_PARENTS = ["jailer", "firecracker"];

/** What managers call the devices of VMs; everybody else's containers have such cables too. */
const DEVICE = /^(fc-|tap|veth)/;

/** What the jailer takes for an id: letters and digits of any script. */
const ID = /^[\p{L}\p{N}-]{1,64}$/u;

/** Everything on the host that looks like a VM's of another manager. Follows no link. */
export function findCandidates(scope: ForeignScope): Candidate[] {
  const all = [...findJails(scope), ...findCgroups(scope), ...findNamespaces(scope), ...findDevices(scope)];
  return all.filter(({ path }) => !scope.known.has(path));
}

/** `<base>/<exec>/<id>`, which has a `root` in it or nothing, and the short names `<base>/<id>`. */
function findJails({ host, chrootBase }: ForeignScope): Candidate[] {
  return [...new Set<string>([chrootBase, COMMON_BASE])].flatMap((base) => {
    const entries = namesIn(host, base)
      .filter((name) => !name.startsWith("."))
      .map((name) => `${base}/${name}`);
    const jails = entries.filter((path) => isDirectory(host, path)).flatMap((path) => jailsIn(host, path));
    const links = entries.filter((path) => isShortName(host, path));
    return [
      ...jails.map((path) => ({ kind: "jail", path }) as const),
      ...links.map((path) => ({ kind: "link", path }) as const),
    ];
  });
}

function jailsIn(host: Host, directory: string): string[] {
  return namesIn(host, directory)
    .filter((name) => ID.test(name))
    .map((name) => `${directory}/${name}`)
    .filter((path) => isDirectory(host, path))
    .filter((path) => isDirectory(host, `${path}/root`) || host.files.list(path).length === 0);
}

/** A link to `<exec>/<id>`, where the id is its own name. */
function isShortName(host: Host, path: string): boolean {
  if (host.files.inspect(path)?.kind !== "link") return false;
  const [exec, id, ...more] = host.files.readLink(path).split("/");
  return exec !== undefined && exec !== "" && exec !== ".." && path.endsWith(`/${id}`) && more.length === 0;
}

function findCgroups({ host, parentCgroup, cgroups }: ForeignScope): Candidate[] {
  const hierarchies: readonly Hierarchy[] = [...cgroups.v1, ...(cgroups.v2 === undefined ? [] : [cgroups.v2])];
  const mounts = hierarchies.map(({ directory }) => directory);
  const parents = [parentCgroup, ...COMMON_PARENTS].flatMap((name) => mounts.map((mount) => `${mount}/${name}`));
  return [...new Set(parents)].flatMap((parent) =>
    namesIn(host, parent)
      .filter((name) => ID.test(name))
      .map((name) => ({ kind: "cgroup", path: `${parent}/${name}` }) as const)
      .filter(({ path }) => isDirectory(host, path)),
  );
}

function findNamespaces({ host }: ForeignScope): Candidate[] {
  return namesIn(host, NAMESPACES)
    .filter((name) => name.startsWith(NAMESPACE_PREFIX))
    .map((name) => ({ kind: "namespace", path: `${NAMESPACES}/${name}` }));
}

function findDevices({ host }: ForeignScope): Candidate[] {
  const directory = `${host.roots.sys}/class/net`;
  return namesIn(host, directory)
    .filter((name) => DEVICE.test(name))
    .map((name) => ({ kind: "interface", path: `${directory}/${name}` }));
}

function isDirectory(host: Host, path: string): boolean {
  return host.files.inspect(path)?.kind === "directory";
}

function namesIn(host: Host, directory: string): string[] {
  return isDirectory(host, directory) ? host.files.list(directory) : [];
}
