import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, describe, it } from "node:test";
import { joinControllers, makeCgroups } from "../../src/cgroup/apply.ts";
import { chooseVersion } from "../../src/cgroup/choose.ts";
import { type CompiledLimits, compileContext, compileLimits } from "../../src/cgroup/compile.ts";
import { neededControllers } from "../../src/cgroup/controllers.ts";
import { detectCgroups } from "../../src/cgroup/detect.ts";
import { ensureParent } from "../../src/cgroup/parent.ts";
import { directoriesOf, placeVm } from "../../src/cgroup/place.ts";
import { killCgroup, removeCgroups } from "../../src/cgroup/remove.ts";
import { settingHolds, wantedText } from "../../src/cgroup/setting.ts";
import { readUsage } from "../../src/cgroup/usage.ts";
import { openHost } from "../../src/host/real/host.ts";
import { isWarderError, type WarderError } from "../../src/vm/error.ts";
import { toVmId } from "../../src/vm/id.ts";
import type { Limits } from "../../src/vm/limits.ts";
import type { CgroupPlacement } from "../../src/vm/record.ts";
import type { Bytes } from "../../src/vm/size.ts";
import { requires } from "../support/capability.ts";

/** The kernel of this machine, whichever cgroup version it has: the rooms' answers are compared with what it does. */
const host = openHost();
const cgroups = detectCgroups(host);
const parent = `warder-test-${process.pid}`;

interface Vm {
  readonly placement: CgroupPlacement;
  readonly compiled: CompiledLimits;
}

const made: Vm[] = [];
const children: ChildProcess[] = [];

/** A VM's cgroups with all settings written, the jailer's part included. */
function makeVm(limits: Limits): Vm {
  const vm = planVm(limits);
  made.push(vm);
  makeCgroups(host, vm.placement, vm.compiled.settings, vm.compiled.controllers);
  return vm;
}

function planVm(limits: Limits): Vm {
  const version = chooseVersion(cgroups, neededControllers(limits));
  const compiled = compileLimits(limits, compileContext(cgroups, version));
  const id = toVmId(`vm-${made.length}`);
  return { compiled, placement: placeVm(cgroups, version, parent, id, compiled.controllers) };
}

/** A shell that runs a script once it is in the VM's cgroups. */
function runIn({ placement, compiled }: Vm, script: string): ChildProcess & { readonly pid: number } {
  const child = spawn("sh", ["-c", `read -r go; ${script}`], { stdio: ["pipe", "ignore", "pipe"] });
  children.push(child);
  assert.ok(child.pid !== undefined);
  joinControllers(host, placement, compiled.controllers, child.pid);
  child.stdin.end("go\n");
  return child as ChildProcess & { readonly pid: number };
}

/** Settings whose files say something else than was foretold. */
function unheld({ placement, compiled }: Vm): string[] {
  return compiled.settings
    .map((setting) => ({ setting, path: join(placement.directories[setting.controller] ?? "", setting.file) }))
    .map((each) => ({ ...each, text: readFileSync(each.path, "utf8") }))
    .filter(({ setting, text }) => !settingHolds(setting, text))
    .map(({ setting, path, text }) => `${path}: ${text.trim()}, not ${wantedText(setting)}`);
}

/** Who is in each of the VM's cgroups. */
function membersOf({ placement }: Vm): string[] {
  return directoriesOf(placement).map((directory) => readFileSync(join(directory, "cgroup.procs"), "utf8").trim());
}

/** Ends what a test left running, its children's children included. */
function killAllIn({ placement }: Vm): void {
  for (const directory of directoriesOf(placement).filter((path) => existsSync(path))) {
    const pids = readFileSync(join(directory, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number);
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended since.
      }
    }
  }
}

async function failure(promise: Promise<unknown>): Promise<WarderError> {
  try {
    await promise;
  } catch (error) {
    if (isWarderError(error)) return error;
    throw error;
  }
  return assert.fail("it did not fail");
}

/** A disk that can be throttled: a device of its own with something on it. */
function wholeDisk(): string | undefined {
  const disks = readdirSync("/sys/block").map((name) => join("/sys/block", name));
  const used = disks.find((path) => Number(readFileSync(join(path, "size"), "utf8")) > 0);
  return used === undefined ? undefined : readFileSync(join(used, "dev"), "utf8").trim();
}

/** Whether the host has every controller that these limits need. */
function canLimit(limits: Limits): boolean {
  try {
    chooseVersion(cgroups, neededControllers(limits));
    return true;
  } catch {
    return false;
  }
}

describe("cgroups of this machine", requires("root"), () => {
  afterEach(async () => {
    for (const vm of made) killAllIn(vm);
    for (const child of children.splice(0)) {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    }
    for (const { placement } of made) await removeCgroups(host, placement);
  });

  after(() => {
    for (const directory of new Set(made.flatMap(({ placement }) => directoriesOf(placement)))) {
      const shared = join(directory, "..");
      if (existsSync(shared)) rmdirSync(shared);
    }
  });

  it("store every setting as it was foretold", () => {
    const disk = wholeDisk();
    const basic: Limits = { memoryBytes: 134_217_729 as Bytes, cpuPercent: 50, cpuWeight: 250, pids: 100 };
    const cpus: Limits = canLimit({ cpus: "0" }) ? { cpus: "0,0", memoryNodes: "0" } : {};
    const io =
      disk === undefined ? [] : [{ device: disk, readBytesPerSecond: 1_048_576, writeOperationsPerSecond: 100 }];
    const vm = makeVm({ ...basic, ...cpus, ...(canLimit({ io }) ? { io } : {}) });
    assert.ok(vm.compiled.settings.length >= 5);
    assert.deepEqual(unheld(vm), []);
  });

  it("store that there is no limit where none was asked for", () => {
    assert.deepEqual(unheld(makeVm({})), []);
  });

  it("store the least and the most that limits can say", () => {
    for (const limits of [
      { memoryBytes: 4097 as Bytes, cpuPercent: 1, cpuWeight: 1, pids: 1 },
      { memoryBytes: Number.MAX_SAFE_INTEGER as Bytes, cpuPercent: 100_000, cpuWeight: 10_000, pids: 4_194_304 },
    ]) {
      assert.deepEqual(unheld(makeVm(limits)), []);
    }
  });

  it("refuse a throttle for a device that is none, and say what to name instead", (context) => {
    const io = [{ device: "4095:255", readBytesPerSecond: 1 }];
    if (!canLimit({ io })) return context.skip("no controller for block devices");
    assert.throws(
      () => makeVm({ io }),
      (error) => isWarderError(error) && error.code === "cgroup-unavailable" && /whole disk/.test(error.cure ?? ""),
    );
  });

  it("hold the process that was put in, in every hierarchy, and nothing else", () => {
    const vm = makeVm({});
    const child = runIn(vm, "exec sleep 60");
    assert.deepEqual(new Set(membersOf(vm)), new Set([String(child.pid)]));
  });

  it("stop a process from making more than its share of processes", async () => {
    const vm = makeVm({ pids: 4 });
    const child = runIn(vm, "for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; wait");
    let said = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    await once(child, "exit");
    assert.match(said, /fork/i);
    assert.ok((readUsage(host, vm.placement).pids ?? 99) <= 4);
  });

  it("kill what outgrows its memory, and count it", async () => {
    const vm = makeVm({ memoryBytes: (32 << 20) as Bytes });
    const child = runIn(vm, "head -c 256M /dev/zero | tail -n 1 > /dev/null");
    await once(child, "exit");
    const usage = readUsage(host, vm.placement);
    assert.ok((usage.oomKills ?? 0) >= 1);
    assert.ok((usage.memoryPeakBytes ?? 0) <= 32 << 20);
  });

  it("hold CPU time to its limit, and count what was held back", async () => {
    const vm = makeVm({ cpuPercent: 10 });
    const began = process.hrtime.bigint();
    await once(runIn(vm, "exec timeout 0.6 sh -c 'while :; do :; done'"), "exit");
    const wallMicroseconds = Number((process.hrtime.bigint() - began) / 1000n);
    const usage = readUsage(host, vm.placement);
    assert.ok((usage.throttledPeriods ?? 0) > 0);
    assert.ok((usage.throttledMicroseconds ?? 0) > 0);
    assert.ok(
      (usage.cpuMicroseconds ?? Number.NaN) < wallMicroseconds / 2,
      `${usage.cpuMicroseconds} of ${wallMicroseconds} µs`,
    );
    assert.ok((usage.cpuMicroseconds ?? 0) > 0);
  });

  it("are removed once the process in them has been reaped, and not before", async () => {
    const vm = makeVm({});
    const child = runIn(vm, "exec sleep 60");
    const stuck = await failure(removeCgroups(host, vm.placement, { timeoutMs: 20 }));
    assert.equal(stuck.code, "cleanup-failed");
    assert.match(stuck.message, new RegExp(`still in use by ${child.pid}`));
    const removal = removeCgroups(host, vm.placement);
    child.kill("SIGKILL");
    assert.equal(await removal, true);
    assert.deepEqual(
      directoriesOf(vm.placement).filter((path) => existsSync(path)),
      [],
    );
    assert.equal(await removeCgroups(host, vm.placement), false);
  });

  it("are removed with what was made inside them, and without their parent", async () => {
    const vm = makeVm({});
    for (const directory of directoriesOf(vm.placement))
      mkdirSync(join(directory, "inner", "most"), { recursive: true });
    await removeCgroups(host, vm.placement);
    for (const directory of directoriesOf(vm.placement)) {
      assert.ok(!existsSync(directory));
      assert.ok(existsSync(join(directory, "..")));
    }
  });

  it("kill all that is in them on v2, and say that they can not on v1", async () => {
    const vm = makeVm({});
    const child = runIn(vm, "sleep 60 & exec sleep 60");
    assert.equal(killCgroup(host, vm.placement), vm.placement.version === 2);
    if (vm.placement.version === 1) return;
    assert.deepEqual(await once(child, "exit"), [null, "SIGKILL"]);
    assert.equal(await removeCgroups(host, vm.placement), true);
  });

  it("are refused for an id that has some already", () => {
    const vm = makeVm({});
    assert.throws(
      () => ensureParent(host, vm.placement, vm.compiled.controllers),
      (error) => isWarderError(error) && error.code === "jail-exists",
    );
    ensureParent(host, planVm({}).placement, vm.compiled.controllers);
  });

  it("are refused on v2 below a cgroup that holds processes, before the jailer fails on it", (context) => {
    const { placement, compiled } = planVm({});
    if (placement.version === 1) return context.skip("cgroup v1 has no such rule");
    made.push({ placement, compiled });
    const shared = join(directoriesOf(placement)[0] ?? "", "..");
    if (existsSync(shared)) rmdirSync(shared);
    mkdirSync(shared);
    const child = spawn("sleep", ["60"]);
    children.push(child);
    host.files.writeControl(join(shared, "cgroup.procs"), String(child.pid));
    assert.throws(
      () => ensureParent(host, placement, compiled.controllers),
      (error) => isWarderError(error) && error.code === "cgroup-unavailable" && error.why.includes(String(child.pid)),
    );
    assert.throws(() => makeCgroups(host, placement, [], compiled.controllers), /EBUSY/);
  });
});
