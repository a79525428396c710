import { parseMounts } from "../../cgroup/mounts.ts";
import type { Host } from "../../host/host.ts";
import { systemCodeOf } from "../../vm/error.ts";
import type { Candidate } from "./candidates.ts";
import type { ProcessIndex } from "./process-index.ts";

/** What is younger may be in the making: a jailer runs some milliseconds after its manager has made the first of it. */
const YOUNG_MS = 60_000;

/** What is asked about uses of things. */
export interface UseContext {
  readonly host: Host;
  readonly processes: ProcessIndex;
}

/** Who or what uses something, as a noun phrase; `undefined` where nothing does. */
export function userOf(context: UseContext, candidate: Candidate): string | undefined {
  const { host } = context;
  const facts = host.files.inspect(candidate.path);
  if (facts === undefined) return undefined;
  const user = users[candidate.kind](context, candidate.path);
  if (user !== undefined) return user;
  const ageMs = host.clock.now() - facts.modifiedMs;
  // What the kernel shows of a device is made anew by each look.
  return candidate.kind !== "interface" && ageMs < YOUNG_MS ? "perhaps whoever makes it just now" : undefined;
}

const users: Readonly<Record<Candidate["kind"], (context: UseContext, path: string) => string | undefined>> = {
  jail: userOfJail,
  link: ({ host, processes }, path) => {
    const jail = `${path.slice(0, path.lastIndexOf("/"))}/${host.files.readLink(path)}`;
    return host.files.inspect(jail) === undefined ? undefined : userOfJail({ host, processes }, jail);
  },
  cgroup: ({ host }, path) => asProcess(memberOf(host, path)),
  namespace: ({ host, processes }, path) => {
    const facts = host.files.inspectFollowing(path);
    return facts && asProcess(processes.inNetwork(facts));
  },
  interface: userOfDevice,
};

function userOfJail({ host, processes }: UseContext, path: string): string | undefined {
  const root = host.files.inspect(`${path}/root`);
  const id = path.slice(path.lastIndexOf("/") + 1);
  const pid = processes.inDirectory(path, root) ?? processes.withId(id);
  if (pid !== undefined) return asProcess(pid);
  const mounts = parseMounts(host.files.readText(`${host.roots.proc}/self/mounts`));
  const mount = mounts.find((each) => each.path.startsWith(`${path}/`));
  return mount && `what is mounted at ${mount.path}`;
}

/** A process of a cgroup, or of one inside it. */
function memberOf(host: Host, directory: string): number | undefined {
  const [pid] = readText(host, `${directory}/cgroup.procs`).split("\n").filter(Boolean);
  if (pid !== undefined) return Number(pid);
  const inside = host.files.list(directory).map((name) => `${directory}/${name}`);
  for (const path of inside.filter((each) => host.files.inspect(each)?.kind === "directory")) {
    const member = memberOf(host, path);
    if (member !== undefined) return member;
  }
  return undefined;
}

/** A TAP by whoever has it open; a cable by its other end; of anything else it is not known. */
function userOfDevice({ host, processes }: UseContext, path: string): string | undefined {
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (host.files.inspectFollowing(`${path}/tun_flags`) !== undefined) return asProcess(processes.withTap(name));
  const index = readText(host, `${path}/ifindex`).trim();
  const peer = readText(host, `${path}/iflink`).trim();
  if (index === peer) return "perhaps somebody: it is neither a TAP nor a cable";
  return isCableInHost(host, path, index, peer)
    ? undefined
    : "whoever is at its other end, in another network namespace";
}

/** Whether both ends are here, and neither is up: a cable that nobody needs. */
function isCableInHost(host: Host, path: string, index: string, peer: string): boolean {
  const directory = path.slice(0, path.lastIndexOf("/"));
  const other = host.files
    .list(directory)
    .map((name) => `${directory}/${name}`)
    .find((each) => readText(host, `${each}/ifindex`).trim() === peer);
  if (other === undefined || readText(host, `${other}/iflink`).trim() !== index) return false;
  return [path, other].every((each) => readText(host, `${each}/operstate`).trim() !== "up");
}

function asProcess(pid: number | undefined): string | undefined {
  return pid === undefined ? undefined : `process ${pid}`;
}

/** Empty where there is nothing to read (any more). */
function readText(host: Host, path: string): string {
  try {
    return host.files.readText(path, 64 * 1024);
  } catch (error) {
    if (["ENOENT", "ENODEV", "EINVAL", "EOPNOTSUPP"].includes(systemCodeOf(error) ?? "")) return "";
    throw error;
  }
}
