import type { WarderOptions } from "../lifecycle/warder.ts";
import type { MonitorWarning } from "./monitor-task.ts";

type Reporter = NonNullable<WarderOptions["reporter"]>;

/** Where the monitor's warnings go once nobody listens any more. */
export interface JournalFile {
  append(chunk: Uint8Array): void;
}

/**
 * What a monitor warns of: until it has answered, for the caller; from then on, for a file beside the VM's output. A
 * journal that can not be written is no reason to leave a VM alone.
 */
export class MonitorJournal implements Reporter {
  readonly #now: () => Date;
  #early: MonitorWarning[] = [];
  #file: JournalFile | undefined;

  constructor(now: () => Date = () => new Date()) {
    this.#now = now;
  }

  /** Whether the caller has had its answer. */
  get isOpen(): boolean {
    return this.#file !== undefined;
  }

  /** The warnings so far, which are the caller's to tell. */
  takeWarnings(): readonly MonitorWarning[] {
    const taken = this.#early;
    this.#early = [];
    return taken;
  }

  /** From now on warnings go to a file. */
  writeTo(file: JournalFile): void {
    this.#file = file;
  }

  readonly warn: Reporter["warn"] = (message, details) => {
    if (this.#file === undefined) this.#early.push({ message, details });
    else this.#append(this.#file, { time: this.#now().toISOString(), message, ...details });
  };

  readonly note: Reporter["note"] = () => undefined;

  #append(file: JournalFile, entry: object): void {
    try {
      file.append(Buffer.from(`${JSON.stringify(entry)}\n`));
    } catch {
      // The directory goes with the VM, and a full disk takes nothing: either way nobody is left to be told.
    }
  }
}
