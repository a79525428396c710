import type { Host } from "../../host/host.ts";
import { parseStrings } from "../../isolation/proc-text.ts";
import { systemCodeOf } from "../../vm/error.ts";

/** So many processes are looked at in one piece before other work has its turn. */
const SLICE = 40;

/** Linux's devices.txt. */
const TUN_DEVICE = "10:200";

/** Which file, whatever it is called. */
interface Identity {
  readonly device: number;
  readonly inode: number;
}

interface Entry {
  readonly pid: number;
  readonly root: string | undefined;
  readonly network: string | undefined;
  /** Where it stands and what it sees as `/`, as paths. */
  readonly directories: readonly string[];
  readonly args: readonly string[];
}

/**
 * Every process of the host at one moment, by what it uses: to know whether somebody else's jail, cgroup or network is
 * in use. A process that may not be looked at uses nothing that is known.
 */
export class ProcessIndex {
  readonly #host: Host;
  readonly #entries: readonly Entry[];
  #taps: Map<string, number> | undefined;

  private constructor(host: Host, entries: readonly Entry[]) {
    this.#host = host;
    this.#entries = entries;
  }

  /** Looks at all processes: some 50 µs each. */
  static async take(host: Host): Promise<ProcessIndex> {
    const entries: Entry[] = [];
    const pids = host.files.list(host.roots.proc).filter((name) => /^\d+$/.test(name));
    for (const [index, pid] of pids.entries()) {
      entries.push(read(host, Number(pid)));
      if (index % SLICE === 0) await new Promise((resolve) => void setImmediate(resolve));
    }
    return new ProcessIndex(host, entries);
  }

  /** A process that sees a directory as `/`, or stands in it or below. */
  inDirectory(path: string, root: Identity | undefined): number | undefined {
    const isInside = ({ directories }: Entry) =>
      directories.some((each) => each === path || each.startsWith(`${path}/`));
    const key = root && keyOf(root);
    return this.#find((entry) => (key !== undefined && entry.root === key) || isInside(entry));
  }

  /** A jailer or Firecracker that was started with an id. */
  withId(id: string): number | undefined {
    return this.#find(({ args }) => args.some((word, index) => word === "--id" && args[index + 1] === id));
  }

  /** A process in a network namespace. */
  inNetwork(namespace: Identity): number | undefined {
    const key = keyOf(namespace);
    return this.#find(({ network }) => network === key);
  }

  /** A process that has a TAP device open, in whatever namespace. */
  withTap(name: string): number | undefined {
    this.#taps ??= this.#readTaps();
    return this.#taps.get(name);
  }

  #find(isWanted: (entry: Entry) => boolean): number | undefined {
    return this.#entries.find(isWanted)?.pid;
  }

  #readTaps(): Map<string, number> {
    const taps = new Map<string, number>();
    for (const { pid } of this.#entries) {
      const directory = `${this.#host.roots.proc}/${pid}`;
      for (const number of attempt(() => this.#host.files.list(`${directory}/fd`)) ?? []) {
        const facts = attempt(() => this.#host.files.inspectFollowing(`${directory}/fd/${number}`));
        if (facts?.kind !== "character" || facts.deviceNumber !== TUN_DEVICE) continue;
        const text = attempt(() => this.#host.files.readText(`${directory}/fdinfo/${number}`)) ?? "";
        const name = /^iff:\s*(\S+)$/m.exec(text)?.[1];
        if (name !== undefined) taps.set(name, pid);
      }
    }
    return taps;
  }
}

function read(host: Host, pid: number): Entry {
  const directory = `${host.roots.proc}/${pid}`;
  const identity = (name: string) => {
    const facts = attempt(() => host.files.inspectFollowing(`${directory}/${name}`));
    return facts && keyOf(facts);
  };
  const target = (name: string) => attempt(() => host.files.readLink(`${directory}/${name}`));
  return {
    pid,
    root: identity("root"),
    network: identity("ns/net"),
    directories: [target("cwd"), target("root")].filter((path) => path !== undefined),
    args: parseStrings(attempt(() => host.files.readText(`${directory}/cmdline`)) ?? ""),
  };
}

function keyOf({ device, inode }: Identity): string {
  return `${device}:${inode}`;
}

/** What ends while it is looked at, or may not be looked at, tells nothing. */
function attempt<Value>(look: () => Value): Value | undefined {
  try {
    return look();
  } catch (error) {
    if (["ENOENT", "ESRCH", "EACCES", "EPERM", "EINVAL"].includes(systemCodeOf(error) ?? "")) return undefined;
    throw error;
  }
}
