import * as fs from "node:fs";
import { Warder, type WarderOptions } from "../../src/index.ts";
import type { VmRecord } from "../../src/vm/record.ts";
import { realBinaries } from "../support/capability-probes.ts";
import { snapshotHost } from "../support/host-snapshot.ts";
import { networkState } from "../support/network/network-state.ts";
import { isInOwnNetwork } from "../support/network/own-network.ts";
import { guest } from "../support/warder-fixture.ts";
import { type Operation, TARGET, WITNESS } from "./operations.ts";

/** Something that is not as it may be. */
export interface Finding {
  readonly problem: string;
}

type Options = WarderOptions & {
  readonly stateDir: string;
  readonly chrootBase: string;
  readonly parentCgroup: string;
};

let beds = 0;

/** State, jails and cgroups in which managers die one after the other, with one VM that must outlive them all. */
export class Bed implements AsyncDisposable {
  readonly options: Options;
  readonly #directory: string;
  #witness: { pid: number | undefined; startTicks: string | undefined } = { pid: undefined, startTicks: undefined };
  #before = "";

  private constructor(directory: string, parentCgroup: string) {
    this.#directory = directory;
    this.options = {
      ...realBinaries(),
      stateDir: `${directory}/state`,
      chrootBase: `${directory}/jails`,
      parentCgroup,
    };
  }

  static async make(): Promise<Bed> {
    const bed = new Bed(fs.mkdtempSync("/var/tmp/warder-faults-"), `warder-faults-${process.pid}-${++beds}`);
    await using warder = await bed.#open();
    const witness = await warder.run({ id: WITNESS, kernel: guest("idle"), bootArgs: "console=ttyS0" });
    const { process: identity } = witness.record;
    bed.#witness = { pid: identity?.pid, startTicks: identity?.startTicks };
    bed.#before = bed.#look(warder);
    return bed;
  }

  /** Puts there what the operation needs, where that is not for the victim to do. */
  async prepare(operation: Operation): Promise<void> {
    if (operation.perform !== undefined) return;
    await using warder = await this.#open();
    await operation.prepare(warder);
  }

  /** Opens a manager after a death, and tells what it should not find. The bed is as before afterwards. */
  async compare(operation: Operation): Promise<Finding[]> {
    const problems: string[] = [];
    {
      await using warder = await this.#open();
      await settled(warder);
      problems.push(...(await this.#witnessProblems(warder)));
      problems.push(...(await targetProblems(warder, operation)));
      problems.push(...leaseProblems(warder));
      await removeTarget(warder, problems);
      const after = this.#look(warder);
      if (after !== this.#before) problems.push(`left behind: ${difference(this.#before, after)}`);
    }
    return problems.map((problem) => ({ problem }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    {
      await using warder = await this.#open();
      for (const vm of warder.list({ all: true })) await vm.remove({ force: true });
    }
    fs.rmSync(this.#directory, { recursive: true, force: true });
    removeParents(this.options.parentCgroup);
  }

  #open(): Promise<Warder> {
    return Warder.open({ ...this.options, reporter: { warn: () => undefined, note: () => undefined } });
  }

  /** The host as text, but for what is the manager's own. */
  #look(warder: Warder): string {
    const { store } = warder.machinery;
    const networks = isInOwnNetwork() ? networkState() : {};
    return Object.entries({ ...snapshotHost({ ...this.options, store }), ...networks })
      .flatMap(([kind, value]) =>
        Array.isArray(value) ? value.map((each) => `${kind}: ${each}`) : [`${kind}: ${value}`],
      )
      .join("\n");
  }

  async #witnessProblems(warder: Warder): Promise<string[]> {
    try {
      const vm = warder.get(WITNESS);
      const { process: identity, state } = vm.record;
      if (state !== "running") return [`the VM that nothing was done to is ${state}`];
      if (identity?.pid !== this.#witness.pid || identity?.startTicks !== this.#witness.startTicks)
        return ["the VM that nothing was done to is another process"];
      await vm.pause();
      await vm.resume();
      return [];
    } catch (error) {
      return [`the VM that nothing was done to is lost: ${error}`];
    }
  }
}

/** Most milliseconds until a VM that a dead manager meant to start again is started, or found not to be. */
const SETTLED_WITHIN_MS = 10_000;

/**
 * Waits until no VM is about to be started again, and none that has ended is about to be removed from the host: what was
 * begun is carried on by whoever comes.
 */
async function settled(warder: Warder): Promise<void> {
  const deadline = performance.now() + SETTLED_WITHIN_MS;
  const isUnderWay = ({ id, state, exit }: VmRecord) =>
    state === "restarting" ||
    state === "starting" ||
    (exit !== undefined && warder.machinery.store.ledger(id).length > 0);
  while (warder.list({ all: true }).some(({ record }) => isUnderWay(record))) {
    if (performance.now() > deadline) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A VM runs and is known, or it is gone; and what is known is so. */
async function targetProblems(warder: Warder, { mayLive }: Operation): Promise<string[]> {
  const vm = warder.list().find(({ id }) => id === TARGET);
  if (vm === undefined) return [];
  const { state, process: identity } = vm.record;
  const isThere = identity !== undefined && fs.existsSync(`/proc/${identity.pid}/root`);
  if (state === "created") return isThere ? ["a created VM has a process"] : [];
  if (!mayLive) return [`the VM is ${state} after its removal began`];
  if (!isThere) return [`the VM is ${state}, and its process is gone`];
  try {
    if (state === "running") await vm.pause();
    if (vm.state === "paused") await vm.resume();
    return [];
  } catch (error) {
    return [`the VM is ${state}, and answers with ${error}`];
  }
}

function leaseProblems(warder: Warder): string[] {
  const { store } = warder.machinery;
  const holders = warder.list({ all: true }).filter(({ record }) => record.exit === undefined).length;
  const leased = store.leases.count("uid");
  return leased === holders ? [] : [`${leased} leases of uids for ${holders} VMs`];
}

async function removeTarget(warder: Warder, problems: string[]): Promise<void> {
  try {
    const vm = warder.list({ all: true }).find(({ id }) => id === TARGET);
    await vm?.remove({ force: true });
  } catch (error) {
    problems.push(`the VM can not be removed: ${error}`);
  }
}

function difference(before: string, after: string): string {
  const [old, now] = [before, after].map((text) => new Set(text.split("\n"))) as [Set<string>, Set<string>];
  const more = [...now].filter((line) => !old.has(line)).map((line) => `+ ${line}`);
  const less = [...old].filter((line) => !now.has(line)).map((line) => `- ${line}`);
  return [...more, ...less].slice(0, 12).join("; ");
}

function removeParents(name: string): void {
  for (const top of fs.readdirSync("/sys/fs/cgroup")) {
    for (const path of [`/sys/fs/cgroup/${top}/${name}`, `/sys/fs/cgroup/${name}`]) {
      if (fs.existsSync(path)) fs.rmdirSync(path);
    }
  }
}
