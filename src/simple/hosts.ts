import type { Reporter } from "../lifecycle/open.ts";
import { openThisMachine } from "../lifecycle/this-machine.ts";
import type { Vm } from "../lifecycle/vm.ts";
import { type RunOptions, Warder } from "../lifecycle/warder.ts";
import type { HostPath } from "../vm/path.ts";
import type { ProcessIdentity } from "../vm/process.ts";
import type { VmSpecInput } from "../vm/spec.ts";

/** What a VM needs of a host that is opened for it. VMs with the same share one. */
export interface HostSettings {
  readonly firecracker: string;
  /** Absent: there is none. */
  readonly jailer?: HostPath;
  readonly chrootBase: string;
  readonly cgroupVersion?: 1 | 2;
  readonly stateDir?: string;
  readonly reporter?: Reporter;
}

/** A VM, as far as the small API uses it. */
export type VmOnHost = Pick<
  Vm,
  "id" | "record" | "inspect" | "wait" | "stop" | "remove" | "prove" | "readConsole" | "readLog"
>;

/** A host, as far as the small API uses it. */
export interface OpenHost extends AsyncDisposable {
  readonly isProduction: boolean;
  run(input: VmSpecInput, options: RunOptions): Promise<VmOnHost>;
  isAlive(process: ProcessIdentity): boolean;
}

/** A host on loan. It is closed when the last who has it gives it back. */
export interface HostLease {
  readonly host: OpenHost;
  /** Idempotent. */
  release(): Promise<void>;
}

interface Entry {
  readonly settings: HostSettings;
  readonly opening: Promise<OpenHost>;
  users: number;
}

/**
 * Hosts that are open because VMs of the small API run on them. Opening one takes a while and costs a database; twenty
 * VMs at once need it once. No host stays open without a VM, so that nobody has to close anything.
 */
export class HostPool {
  readonly #open: (settings: HostSettings) => Promise<OpenHost>;
  readonly #entries = new Set<Entry>();

  constructor(open: (settings: HostSettings) => Promise<OpenHost>) {
    this.#open = open;
  }

  /** Lends the host with these settings, opened if need be. */
  async lease(settings: HostSettings): Promise<HostLease> {
    const entry = this.#find(settings) ?? this.#add(settings);
    entry.users++;
    let isHeld = true;
    const release = async () => {
      if (!isHeld) return;
      isHeld = false;
      await this.#giveBack(entry);
    };
    try {
      return { host: await entry.opening, release };
    } catch (error) {
      this.#entries.delete(entry);
      throw error;
    }
  }

  #find(settings: HostSettings): Entry | undefined {
    return [...this.#entries].find((entry) => isSame(entry.settings, settings));
  }

  #add(settings: HostSettings): Entry {
    const entry: Entry = { settings, opening: this.#open(settings), users: 0 };
    this.#entries.add(entry);
    return entry;
  }

  async #giveBack(entry: Entry): Promise<void> {
    entry.users--;
    if (entry.users > 0) return;
    this.#entries.delete(entry);
    const host = await entry.opening;
    await host[Symbol.asyncDispose]();
  }
}

function isSame(one: HostSettings, other: HostSettings): boolean {
  const names = ["firecracker", "jailer", "chrootBase", "cgroupVersion", "stateDir", "reporter"] as const;
  return names.every((name) => one[name] === other[name]);
}

/** Opens this machine. */
export async function openHere({ chrootBase, ...settings }: HostSettings): Promise<OpenHost> {
  const isJailed = settings.jailer !== undefined;
  // Unjailed VMs need no directory of jails, which an ordinary user could not make: theirs is as good as any.
  const base = isJailed ? chrootBase : `${openThisMachine(withoutReporter(settings)).config.stateDir}/unjailed`;
  const warder = await Warder.open({ role: "visitor", ...settings, chrootBase: base, prepareStarts: isJailed });
  const { host, settings: lifecycle } = warder.machinery;
  return {
    isProduction: lifecycle.production,
    run: (input, options) => warder.run(input, options),
    isAlive: (process) => host.processes.isAlive(process),
    [Symbol.asyncDispose]: () => warder[Symbol.asyncDispose](),
  };
}

function withoutReporter({ reporter: _reporter, ...overrides }: Omit<HostSettings, "chrootBase">) {
  return overrides;
}

/** The hosts of this process. */
export const sharedHosts = new HostPool(openHere);
