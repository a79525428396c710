import type { Host } from "../host/host.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import type { ProcessIdentity } from "../vm/process.ts";

/** Enough for a few VMs: a manager of one VM needs no more, and has as many to remove. */
const FIRST_BATCH = 16;
const LARGEST_BATCH = 256;

/** Managers that this process has opened so far; one process may have several on the same base. */
let opened = 0;

/**
 * FIFOs made ahead of need. A VM takes four; making them one VM at a time would cost each start a process, making many
 * at once costs little more and is done while nobody waits: twice as many each time, as who needed some will need more.
 * They lie beside the jails, as a FIFO can only be renamed on its own file system.
 */
export class SpareFifos implements AsyncDisposable {
  readonly #host: Host;
  readonly #directory: HostPath;
  #spare: HostPath[] = [];
  #filling: Promise<void> | undefined;
  #made = 0;
  #batch = FIRST_BATCH;
  #closed = false;

  constructor(host: Host, base: HostPath) {
    this.#host = host;
    this.#directory = toHostPath(`${parentDirectory(base)}/${nameFor(host.processes.self)}`);
  }

  /** Starts to make FIFOs, so that the first start finds some. Failures show at {@link take}. */
  prefill(): void {
    this.#fill().catch(() => undefined);
  }

  /** Gives `count` FIFOs, which are the caller's from then on. */
  async take(count: number): Promise<HostPath[]> {
    while (this.#spare.length < count) await this.#fill();
    const taken = this.#spare.splice(0, count);
    if (this.#spare.length < this.#batch / 4) this.prefill();
    return taken;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#filling?.catch(() => undefined);
    this.#spare = [];
    await this.#host.files.removeTree(this.#directory);
  }

  #fill(): Promise<void> {
    this.#filling ??= this.#makeBatch().finally(() => {
      this.#filling = undefined;
    });
    return this.#filling;
  }

  async #makeBatch(): Promise<void> {
    if (this.#closed) throw new RangeError("the pool of FIFOs is closed");
    const parent = this.#directory.slice(0, this.#directory.lastIndexOf("/"));
    this.#host.files.ensureDirectory(parent, { mode: 0o700 });
    this.#host.files.ensureDirectory(this.#directory, { mode: 0o700 });
    const first = this.#made;
    const paths = Array.from({ length: this.#batch }, (_, index) => toHostPath(`${this.#directory}/${first + index}`));
    this.#made += this.#batch;
    this.#batch = Math.min(2 * this.#batch, LARGEST_BATCH);
    await this.#host.fifos.make(paths);
    this.#spare.push(...paths);
  }
}

/** Removes the FIFOs of managers that are gone. */
export async function removeAbandonedFifos(host: Host, base: HostPath): Promise<void> {
  const parent = parentDirectory(base);
  if (!host.files.ensureDirectory(parent, { mode: 0o700 })) {
    for (const name of host.files.list(parent)) {
      const owner = parseName(name);
      if (owner !== undefined && !host.processes.isAlive(owner)) await host.files.removeTree(`${parent}/${name}`);
    }
  }
}

function parentDirectory(base: HostPath): string {
  return `${base}/.warder-fifos`;
}

function nameFor(owner: ProcessIdentity): string {
  return `${owner.pid}.${owner.startTicks}.${owner.bootId}.${opened++}`;
}

function parseName(name: string): ProcessIdentity | undefined {
  const [, pid, startTicks, bootId] = /^(\d+)\.(\d+)\.([0-9a-f-]+)\.\d+$/.exec(name) ?? [];
  if (pid === undefined || startTicks === undefined || bootId === undefined) return undefined;
  return { pid: Number(pid), startTicks, bootId };
}
