import * as fs from "node:fs";
import { DatabaseSync } from "node:sqlite";
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
      if (!(await settled(warder))) problems.push("a VM is still about to start, or to be removed, after 10 s");
      problems.push(...(await stateProblems(warder, this.options.stateDir)));
      problems.push(...(await this.#witnessProblems(warder)));
      problems.push(...(await targetProblems(warder, operation)));
      problems.push(...leaseProblems(warder, this.options.stateDir));
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
    const { stateDir } = this.options;
    const state = { lease: leasesOf(stateDir), state: namesIn(stateDir), output: namesIn(`${stateDir}/vms`) };
    return Object.entries({ ...snapshotHost({ ...this.options, store }), ...networks, ...state })
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
async function settled(warder: Warder): Promise<boolean> {
  const deadline = performance.now() + SETTLED_WITHIN_MS;
  const isUnderWay = ({ id, state, exit }: VmRecord) =>
    state === "restarting" ||
    state === "starting" ||
    (exit !== undefined && warder.machinery.store.ledger(id).length > 0);
  while (warder.list({ all: true }).some(({ record }) => isUnderWay(record))) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return true;
}

/** A VM runs and is known, or it is gone; and what is known is so. */
async function targetProblems(warder: Warder, operation: Operation): Promise<string[]> {
  const { mayLive, mustLive = false, mustBeKnown = mustLive } = operation;
  const known = warder.list({ all: true }).find(({ id }) => id === TARGET);
  if (known === undefined) return mustBeKnown ? ["the VM is lost: there is no record of it"] : [];
  const vm = warder.list().find(({ id }) => id === TARGET);
  if (mustLive && vm === undefined)
    return [`the VM is ${known.state}, and must run: ${known.record.exit?.evidence.join("; ")}`];
  if (mustLive && known.record.incarnation !== 1) return [`the VM is in its run ${known.record.incarnation}`];
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

/** Who has not ended has a user and a group; who has ended, or is not known, has nothing. */
function leaseProblems(warder: Warder, stateDir: string): string[] {
  const leases = leasesOf(stateDir).map((line) => line.split(" "));
  const holders: string[] = warder
    .list({ all: true })
    .filter(({ record }) => record.exit === undefined)
    .map(({ id }) => id);
  const strange = leases.filter(([, , holder = ""]) => !holders.includes(holder));
  const without = (wanted: string) =>
    holders.filter((id) => leases.filter(([kind, , holder]) => kind === wanted && holder === id).length !== 1);
  return [
    ...strange.map(([kind, value, holder]) => `${holder} has ended or is gone, and has ${kind} ${value}`),
    ...["uid", "gid"].flatMap((kind) => without(kind).map((id) => `${id} has not one ${kind}`)),
  ];
}

/** What each VM has, of every kind: `kind value vm`. Values that rest are nobody's. */
function leasesOf(stateDir: string): string[] {
  const database = new DatabaseSync(`${stateDir}/state.db`, { readOnly: true });
  try {
    return database
      .prepare("SELECT kind, value, vm_id FROM leases WHERE vm_id IS NOT NULL ORDER BY kind, value")
      .all()
      .map(({ kind, value, vm_id: id }) => `${kind} ${value} ${id}`);
  } finally {
    database.close();
  }
}

/** SQLite's own files come and go. */
function namesIn(directory: string): string[] {
  return fs
    .readdirSync(directory)
    .filter((name) => !/-(?:wal|shm|journal)$/.test(name))
    .sort();
}

/** Drafts may be there for an instant, of the manager that looks. */
const DRAFTS_GONE_WITHIN_MS = 1_000;
const draft = /\.new-|(?:^|\/)record\.json\.|(?:^|\/)state-[^/]*\.db$/;

/** Drafts that a dead manager has left, and output of VMs that no record knows. */
async function stateProblems(warder: Warder, stateDir: string): Promise<string[]> {
  const deadline = performance.now() + DRAFTS_GONE_WITHIN_MS;
  for (;;) {
    const drafts = fs.readdirSync(stateDir, { recursive: true, encoding: "utf8" }).filter((path) => draft.test(path));
    const known = new Set<string>(warder.list({ all: true }).map(({ id }) => id));
    const orphans = namesIn(`${stateDir}/vms`).filter((name) => !known.has(name));
    const problems = [
      ...drafts.map((path) => `a draft is left: ${path}`),
      ...orphans.map((name) => `output of no VM is left: vms/${name}`),
    ];
    if (problems.length === 0 || performance.now() > deadline) return problems;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
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
