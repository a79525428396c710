import type { Host } from "../host/host.ts";
import { systemCodeOf } from "../vm/error.ts";

/** Ids of users and groups that are asked about. */
export interface WantedIds {
  readonly uids: readonly number[];
  readonly gids: readonly number[];
}

/** An id of which something is left on the host. */
export interface HeldId {
  readonly kind: "uid" | "gid";
  readonly id: number;
  /** What it is, as a noun phrase. */
  readonly holder: string;
}

/** Where files of jailed users can be. */
export interface HolderScope {
  readonly chrootBase: string;
  /** Jails that are not looked into: their VMs have their ids still, and files of no other. */
  readonly known: ReadonlySet<string>;
}

/** So much is done in one piece before other work has its turn: about a millisecond. */
const SLICE = 40;

/** Files in jails that nobody answers for. More than this is not looked through, and then no id is known to be free. */
const MOST_FILES = 100_000;

/**
 * Which of some ids something is left of: a process, a file in a jail, a network interface that a user may open, System V
 * shared memory, semaphores or message queues. What ends while it is looked at is not there.
 */
export async function findHolders(
  host: Host,
  wanted: WantedIds,
  scope: HolderScope,
  signal: AbortSignal,
): Promise<HeldId[]> {
  const search = new Search(host, wanted, signal);
  await search.processes();
  search.interfaces();
  search.sharedMemory();
  await search.files(scope);
  return search.held;
}

/** One look. The first that is found of an id is enough. */
class Search {
  readonly #host: Host;
  readonly #signal: AbortSignal;
  readonly #missing: { readonly uid: Set<number>; readonly gid: Set<number> };
  readonly held: HeldId[] = [];
  #steps = 0;

  constructor(host: Host, { uids, gids }: WantedIds, signal: AbortSignal) {
    this.#host = host;
    this.#signal = signal;
    this.#missing = { uid: new Set(uids), gid: new Set(gids) };
  }

  async processes(): Promise<void> {
    const { proc } = this.#host.roots;
    for (const pid of this.#list(proc).filter((name) => /^\d+$/.test(name))) {
      const text = this.#read(`${proc}/${pid}/status`);
      this.#note("uid", idsOf(text, "Uid"), `process ${pid}`);
      this.#note("gid", [...idsOf(text, "Gid"), ...idsOf(text, "Groups")], `process ${pid}`);
      await this.#othersTurn();
    }
  }

  /** Only TUN and TAP devices have owners: tun.c of the kernel. */
  interfaces(): void {
    const directory = `${this.#host.roots.sys}/class/net`;
    for (const name of this.#list(directory)) {
      this.#note("uid", numbers(this.#read(`${directory}/${name}/owner`)), `the interface ${name}`);
      this.#note("gid", numbers(this.#read(`${directory}/${name}/group`)), `the interface ${name}`);
    }
  }

  /** The jailer gives no IPC namespace of its own. Columns by name, as they differ from file to file: sysvipc(7). */
  sharedMemory(): void {
    for (const kind of ["shm", "sem", "msg"]) {
      const [heading = "", ...rows] = this.#read(`${this.#host.roots.proc}/sysvipc/${kind}`).trim().split("\n");
      const names = heading.trim().split(/\s+/);
      for (const row of rows.map((line) => line.trim().split(/\s+/).map(Number))) {
        const at = (...columns: string[]) => columns.flatMap((column) => row[names.indexOf(column)] ?? []);
        this.#note("uid", at("uid", "cuid"), `System V ${kind} ${row[1]}`);
        this.#note("gid", at("gid", "cgid"), `System V ${kind} ${row[1]}`);
      }
    }
  }

  async files({ chrootBase, known }: HolderScope): Promise<void> {
    const queue = this.#jailsIn(chrootBase).filter((path) => !known.has(path));
    const device = this.#host.files.inspect(chrootBase)?.device;
    for (let seen = 0; queue.length > 0; seen++) {
      if (seen >= MOST_FILES) return this.#giveUp(chrootBase);
      const path = queue.pop() ?? "";
      const facts = this.#host.files.inspect(path);
      if (facts === undefined || facts.device !== device) continue;
      this.#note("uid", [facts.uid], `the file ${path}`);
      this.#note("gid", [facts.gid], `the file ${path}`);
      if (facts.kind === "directory") queue.push(...this.#list(path).map((name) => `${path}/${name}`));
      await this.#othersTurn();
    }
  }

  /** `<base>/<exec>/<id>`, whatever it is. */
  #jailsIn(base: string): string[] {
    return this.#list(base)
      .filter((name) => !name.startsWith("."))
      .map((name) => `${base}/${name}`)
      .filter((path) => this.#host.files.inspect(path)?.kind === "directory")
      .flatMap((path) => this.#list(path).map((name) => `${path}/${name}`));
  }

  #giveUp(base: string): void {
    const holder = `perhaps one of more than ${MOST_FILES} files in leftover jails of ${base}`;
    this.#note("uid", [...this.#missing.uid], holder);
    this.#note("gid", [...this.#missing.gid], holder);
  }

  #note(kind: HeldId["kind"], ids: readonly number[], holder: string): void {
    for (const id of ids) if (this.#missing[kind].delete(id)) this.held.push({ kind, id, holder });
  }

  #list(path: string): string[] {
    return ignoringAbsence(() => this.#host.files.list(path)) ?? [];
  }

  #read(path: string): string {
    return ignoringAbsence(() => this.#host.files.readText(path, 64 * 1024)) ?? "";
  }

  async #othersTurn(): Promise<void> {
    this.#signal.throwIfAborted();
    if (++this.#steps % SLICE === 0) await new Promise((resolve) => void setImmediate(resolve));
  }
}

/** Numbers of a line of `/proc/<pid>/status`. */
function idsOf(status: string, name: string): number[] {
  const line = status.split("\n").find((each) => each.startsWith(`${name}:`));
  return numbers(line?.slice(name.length + 1) ?? "");
}

/** A device without an owner says -1, which is nobody's id. */
function numbers(text: string): number[] {
  return text
    .trim()
    .split(/\s+/)
    .filter((word) => /^\d+$/.test(word))
    .map(Number);
}

/** EINVAL: an interface that is no TUN device has such files all the same on some kernels. */
function ignoringAbsence<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (["ENOENT", "ESRCH", "ENOTDIR", "EINVAL", "ENODEV"].includes(systemCodeOf(error) ?? "")) return undefined;
    throw error;
  }
}
