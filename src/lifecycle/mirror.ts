import type { Host } from "../host/host.ts";
import { formatDescription } from "../store/description.ts";
import type { Store } from "../store/store.ts";
import { messageOf } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import type { HostPath } from "../vm/path.ts";
import type { Machinery } from "./machinery.ts";

/** A start or an end changes a record several times: what stands in the end is what counts. */
const GATHER_MS = 50;

/** Where a VM's description lies, beside its output. */
export function descriptionPath(stateDir: HostPath, id: string): string {
  return `${stateDir}/vms/${id}/record.json`;
}

/**
 * Writes what is known of each VM into a file beside its output, a moment after it has changed. Nothing reads it but
 * {@link rebuildStore}, when the database is damaged: so it is not in anybody's way, and not forced to the disk.
 */
export class Mirror implements Disposable {
  readonly #host: Host;
  readonly #store: Store;
  readonly #stateDir: HostPath;
  readonly #warn: Machinery["warn"];
  readonly #changed = new Set<VmId>();
  readonly #stop: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(host: Host, store: Store, stateDir: HostPath, warn: Machinery["warn"]) {
    this.#host = host;
    this.#store = store;
    this.#stateDir = stateDir;
    this.#warn = warn;
    this.#stop = store.subscribe((id, record) => (record === undefined ? this.#changed.delete(id) : this.#note(id)));
  }

  /** Writes what waits to be written. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const id of this.#changed) this.#write(id);
    this.#changed.clear();
  }

  [Symbol.dispose](): void {
    this.#stop();
    this.flush();
  }

  #note(id: VmId): void {
    this.#changed.add(id);
    this.#timer ??= setTimeout(() => this.flush(), GATHER_MS).unref();
  }

  #write(id: VmId): void {
    try {
      const described = this.#store.describe(id);
      if (described === undefined) return;
      const path = descriptionPath(this.#stateDir, id);
      const directory = path.slice(0, path.lastIndexOf("/"));
      // A VM that has not begun to run yet has no output; of others it is gone because they are about to be forgotten.
      if (described.record.state === "created") this.#host.files.ensureDirectory(directory, { mode: 0o750 });
      else if (this.#host.files.inspect(directory) === undefined) return;
      const draft = `${path}.${this.#host.processes.self.pid}`;
      this.#host.files.removeFile(draft);
      this.#host.files.writeText(draft, formatDescription(described), { mode: 0o600 });
      this.#host.files.rename(draft, path);
    } catch (error) {
      this.#warn("VM's description not written", { vm_id: id, error: messageOf(error) });
    }
  }
}
