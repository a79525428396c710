import type { Host } from "../host/host.ts";
import type { Store } from "../store/store.ts";
import { isWarderError, WarderError } from "../vm/error.ts";
import type { HostPath } from "../vm/path.ts";
import { findHolders, type HeldId } from "./id-holders.ts";
import type { Machinery } from "./machinery.ts";

/** VMs often end together: one look at the host is enough for all of them. */
const GATHER_MS = 100;

/** Enough of them to see what is wrong. */
const NAMED_MAX = 5;

/**
 * Ids of users and groups that rest since their VM is gone. One is given out again only when no process, file, interface
 * or shared memory of it is left: whoever got it before would own them. To look costs some ten milliseconds, so it is
 * done behind the back of whoever ends VMs, and a start only waits for it where no other id is free.
 */
export class Quarantine implements AsyncDisposable {
  readonly #host: Host;
  readonly #store: Store;
  readonly #chrootBase: HostPath;
  readonly #closing = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<readonly HeldId[]> | undefined;

  constructor(host: Host, store: Store, chrootBase: HostPath) {
    this.#host = host;
    this.#store = store;
    this.#chrootBase = chrootBase;
  }

  /** Has a look be taken soon. Lets this process end meanwhile: the next one looks when it needs an id. */
  lookSoon(): void {
    if (this.#closing.signal.aborted || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      // Who needs an id looks again, and gets the failure then.
      this.lift().catch(() => undefined);
    }, GATHER_MS).unref();
  }

  /** Looks at the host, and gives back the ids of which nothing is left. Returns the others, with what is. */
  lift(): Promise<readonly HeldId[]> {
    this.#looking ??= this.#lift().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#timer);
    await this.#looking?.catch(() => undefined);
  }

  async #lift(): Promise<readonly HeldId[]> {
    const { leases } = this.#store;
    const uids = leases.resting("uid").map(({ value }) => Number(value));
    const gids = leases.resting("gid").map(({ value }) => Number(value));
    if (uids.length + gids.length === 0) return [];
    const scope = { chrootBase: this.#chrootBase, known: this.#standing() };
    const held = await findHolders(this.#host, { uids, gids }, scope, this.#closing.signal);
    const isFree = (kind: HeldId["kind"]) => (id: number) => !held.some((each) => each.kind === kind && each.id === id);
    this.#store.transaction(() => {
      leases.lift("uid", uids.filter(isFree("uid")));
      leases.lift("gid", gids.filter(isFree("gid")));
    });
    return held;
  }

  /** Directories of VMs that have their ids still: what is in them is no hindrance to any other id. */
  #standing(): ReadonlySet<string> {
    return new Set(
      this.#store
        .ledger()
        .filter(({ kind }) => kind === "directory")
        .map(({ name }) => name),
    );
  }
}

/**
 * Does what leases ids; where none is free, once more after a look at those that rest.
 *
 * @throws {@link WarderError} `ids-exhausted`, and whatever `work` throws.
 */
export async function withRestingIds<T>({ quarantine }: Pick<Machinery, "quarantine">, work: () => T): Promise<T> {
  try {
    return work();
  } catch (error) {
    if (!isWarderError(error) || error.code !== "ids-exhausted") throw error;
    const held = await quarantine.lift();
    try {
      return work();
    } catch (again) {
      throw isWarderError(again) && again.code === "ids-exhausted" ? withHolders(again, held) : again;
    }
  }
}

/** Says what keeps the ids that rest from being given out. */
function withHolders(error: WarderError, held: readonly HeldId[]): WarderError {
  if (held.length === 0) return error;
  const named = held.slice(0, NAMED_MAX).map(({ kind, id, holder }) => `${kind} ${id} by ${holder}`);
  const more = held.length > NAMED_MAX ? ` and ${held.length - NAMED_MAX} more` : "";
  return new WarderError(error.code, {
    doing: error.doing,
    why: `${error.why}; of VMs that are gone are still held: ${named.join(", ")}${more}`,
    cure: "End or remove what holds them; `warder gc --dry-run` lists what is left of VMs",
    cause: error,
  });
}
