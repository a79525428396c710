import type { Clock } from "../host/host.ts";
import type { ChangeLog } from "../store/changes.ts";
import type { VmChange } from "../vm/change.ts";
import { WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import { abortable } from "./abortable.ts";

/** How often changes that other processes make are looked for, while somebody watches: a few microseconds each time. */
const POLL_MS = 25;

/** What a watcher holds in memory at most. */
const PAGE = 256;

/** What is watched. */
export interface WatchRequest {
  /** The last change that the watcher knows. */
  readonly after: number;
  /** Changes of one VM only. */
  readonly id?: VmId;
  readonly signal: AbortSignal;
}

/**
 * Changes of VMs' states as they come, whichever process makes them. Each watcher reads the store at its own pace, and
 * nothing is held for it: one that is slower than the store's memory is long is told so, and one that comes back after a
 * restart goes on where it was.
 */
export class ChangeFeed {
  readonly #log: ChangeLog;
  readonly #clock: Clock;
  readonly #closed = new AbortController();
  #news = Promise.withResolvers<void>();
  #watchers = 0;
  #isPolling = false;

  constructor(log: ChangeLog, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    log.subscribe(() => this.#wake());
  }

  /**
   * Every change after one, in order, and then each as it comes.
   *
   * @throws {@link WarderError} `gone` where changes after it are not kept any more; `aborted` when the signal fires.
   */
  async *watch({ after, id, signal }: WatchRequest): AsyncGenerator<VmChange, never> {
    const over = AbortSignal.any([signal, this.#closed.signal]);
    this.#beginWatching();
    try {
      for (let cursor = after; ; ) {
        // Asked for before the look: what comes in between wakes this watcher.
        const news = this.#news.promise;
        const page = this.#read(cursor, id);
        for (const change of page.changes) {
          over.throwIfAborted();
          yield change;
        }
        cursor = page.cursor;
        if (!page.isFull) await abortable(news, over);
      }
    } catch (error) {
      throw WarderError.from(error, "internal", "watching VMs");
    } finally {
      this.#watchers--;
    }
  }

  /** Ends all watching. */
  close(): void {
    this.#closed.abort();
  }

  #read(after: number, id: VmId | undefined): { changes: VmChange[]; cursor: number; isFull: boolean } {
    const { newest } = this.#log.bounds();
    const changes = this.#log.read({ after, limit: PAGE, ...(id === undefined ? {} : { id }) });
    // Looked at last: what was there to the end has not been taken away before.
    const { before } = this.#log.bounds();
    if (after < before || after > newest) throw gone(after, before, newest);
    const isFull = changes.length === PAGE;
    const last = changes.at(-1)?.sequence ?? after;
    // What other VMs did meanwhile is no concern of who watches one: its cursor must not fall behind for that.
    return { changes, cursor: isFull ? last : Math.max(last, newest), isFull };
  }

  #beginWatching(): void {
    this.#watchers++;
    if (!this.#isPolling) void this.#poll();
  }

  /** As long as there are watchers. */
  async #poll(): Promise<void> {
    const { signal } = this.#closed;
    this.#isPolling = true;
    while (this.#watchers > 0 && !signal.aborted) {
      if (this.#isToLook()) this.#wake();
      await this.#clock.sleep(POLL_MS, signal).catch(() => undefined);
    }
    this.#isPolling = false;
  }

  /** Where the store can not be read, each watcher finds that by itself, and tells. */
  #isToLook(): boolean {
    try {
      return this.#log.isChangedElsewhere();
    } catch {
      return true;
    }
  }

  #wake(): void {
    const { resolve } = this.#news;
    this.#news = Promise.withResolvers<void>();
    resolve();
  }
}

function gone(after: number, before: number, newest: number): WarderError {
  const why =
    after > newest
      ? `the newest change is ${newest}: the cursor is of another state directory, or of one that was set up anew`
      : `changes up to ${before} are not kept any more`;
  return new WarderError("gone", {
    doing: `watching VMs after the change ${after}`,
    why,
    cure: "Take the cursor of now, list the VMs, and watch after that cursor",
  });
}
