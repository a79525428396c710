import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import type { Clock, FileFacts, Files, Host } from "../host/host.ts";
import { isWarderError, WarderError } from "../vm/error.ts";
import { toHostPath } from "../vm/path.ts";
import type { CgroupPlacement } from "../vm/record.ts";
import { killCgroup, removeCgroups } from "./remove.ts";

const systemError = (code: string) => Object.assign(new Error(`${code}: fake`), { code });

/**
 * A cgroup file system with state: a directory can be removed when nothing is below it and no process in it, and
 * processes leave as time passes.
 */
class FakeCgroups {
  readonly directories = new Map<string, { leavesAtMs: number }>();
  readonly attempts: string[] = [];
  readonly written: string[] = [];
  nowMs = 0;

  add(path: string, leavesAtMs = 0): void {
    this.directories.set(path, { leavesAtMs });
  }

  get host(): Host {
    const files: Pick<Files, "removeDirectory" | "list" | "inspect" | "readText" | "writeControl"> = {
      removeDirectory: async (path) => this.#remove(path),
      list: (path) => this.#below(path),
      inspect: (path) => (this.directories.has(path) ? ({ kind: "directory" } as FileFacts) : undefined),
      readText: (path) => (this.#busy(path.replace(/\/cgroup\.procs$/, "")) ? "4711\n" : ""),
      writeControl: (path, text) => {
        if (!this.directories.has(path.replace(/\/[^/]*$/, ""))) throw systemError("ENOENT");
        this.written.push(`${path}=${text}`);
      },
    };
    const clock: Pick<Clock, "monotonic" | "sleep"> = {
      monotonic: () => this.nowMs,
      sleep: async (milliseconds, signal) => {
        signal?.throwIfAborted();
        this.nowMs += milliseconds;
      },
    };
    return { files, clock } as Host;
  }

  #below(path: string): string[] {
    const prefix = `${path}/`;
    const names = [...this.directories.keys()].filter((each) => each.startsWith(prefix));
    return [...new Set(names.map((each) => each.slice(prefix.length).split("/")[0] ?? ""))];
  }

  #busy(path: string): boolean {
    return (this.directories.get(path)?.leavesAtMs ?? 0) > this.nowMs;
  }

  #remove(path: string): boolean {
    this.attempts.push(path);
    if (!this.directories.has(path)) return false;
    if (this.#busy(path) || this.#below(path).length > 0) throw systemError("EBUSY");
    this.directories.delete(path);
    return true;
  }
}

const v2: CgroupPlacement = {
  version: 2,
  path: "/jailer/vm-1",
  directories: { memory: toHostPath("/cg/jailer/vm-1"), cpu: toHostPath("/cg/jailer/vm-1") },
};
const v1: CgroupPlacement = {
  version: 1,
  path: "/jailer/vm-1",
  directories: { memory: toHostPath("/cg/memory/jailer/vm-1"), cpu: toHostPath("/cg/cpu/jailer/vm-1") },
};

async function rejection(promise: Promise<unknown>): Promise<WarderError> {
  try {
    await promise;
  } catch (error) {
    if (isWarderError(error)) return error;
    throw error;
  }
  return assert.fail("it did not fail");
}

describe("removeCgroups", () => {
  let cgroups: FakeCgroups;

  beforeEach(() => {
    cgroups = new FakeCgroups();
    cgroups.add("/cg/jailer");
    cgroups.add("/cg/memory/jailer");
    cgroups.add("/cg/cpu/jailer");
  });

  it("takes one rmdir where the process has gone, and leaves the shared parent", async () => {
    cgroups.add("/cg/jailer/vm-1");
    assert.equal(await removeCgroups(cgroups.host, v2), true);
    assert.deepEqual(cgroups.attempts, ["/cg/jailer/vm-1"]);
    assert.ok(cgroups.directories.has("/cg/jailer"));
    assert.equal(cgroups.nowMs, 0);
  });

  it("removes every v1 hierarchy's directory", async () => {
    cgroups.add("/cg/memory/jailer/vm-1");
    cgroups.add("/cg/cpu/jailer/vm-1");
    await removeCgroups(cgroups.host, v1);
    assert.deepEqual([...cgroups.directories.keys()], ["/cg/jailer", "/cg/memory/jailer", "/cg/cpu/jailer"]);
  });

  it("is content where nothing is there, as often as it is asked", async () => {
    assert.equal(await removeCgroups(cgroups.host, v1), false);
    assert.equal(await removeCgroups(cgroups.host, v1), false);
  });

  it("waits for a process that was killed but not reaped yet", async () => {
    cgroups.add("/cg/jailer/vm-1", 50);
    assert.equal(await removeCgroups(cgroups.host, v2), true);
    assert.ok(cgroups.nowMs >= 50 && cgroups.nowMs < 100, `waited ${cgroups.nowMs} ms`);
  });

  it("gives up when time is up, with who is in it, and having tried the others", async () => {
    cgroups.add("/cg/memory/jailer/vm-1", Number.POSITIVE_INFINITY);
    cgroups.add("/cg/cpu/jailer/vm-1");
    const error = await rejection(removeCgroups(cgroups.host, v1, { timeoutMs: 30 }));
    assert.equal(error.code, "cleanup-failed");
    assert.match(error.message, /memory\/jailer\/vm-1: it is still in use by 4711/);
    assert.ok(!cgroups.directories.has("/cg/cpu/jailer/vm-1"));
    assert.ok(cgroups.nowMs < 60);
  });

  it("keeps every failure", async () => {
    for (const name of ["memory", "cpu"]) cgroups.add(`/cg/${name}/jailer/vm-1`, Number.POSITIVE_INFINITY);
    const error = await rejection(removeCgroups(cgroups.host, v1, { timeoutMs: 0 }));
    assert.equal(error.cleanup.length, 1);
    assert.match(String((error.cleanup[0] as WarderError).message), /cpu\/jailer\/vm-1/);
  });

  it("removes what was made inside first, innermost first", async () => {
    for (const path of ["", "/a", "/a/b", "/c"]) cgroups.add(`/cg/jailer/vm-1${path}`);
    await removeCgroups(cgroups.host, v2, { timeoutMs: 0 });
    assert.deepEqual(cgroups.attempts.slice(1), [
      "/cg/jailer/vm-1/a/b",
      "/cg/jailer/vm-1/a",
      "/cg/jailer/vm-1/c",
      "/cg/jailer/vm-1",
    ]);
  });

  it("ends its wait when it is told to", async () => {
    cgroups.add("/cg/jailer/vm-1", Number.POSITIVE_INFINITY);
    const reason = new WarderError("aborted", { doing: "testing", why: "it is over" });
    const error = await rejection(removeCgroups(cgroups.host, v2, { signal: AbortSignal.abort(reason) }));
    assert.equal(error, reason);
  });

  it("acts on no path that is not a mount, a parent and a VM's id", async () => {
    const odd: CgroupPlacement[] = [
      { version: 2, path: "/jailer", directories: { memory: toHostPath("/cg/jailer") } },
      { version: 2, path: "/jailer/..", directories: { memory: toHostPath("/cg/jailer/..") } },
      { version: 2, path: "/jailer/vm-1", directories: { memory: toHostPath("/cg/jailer/vm-2") } },
      { version: 2, path: "/jailer/vm-1", directories: { memory: toHostPath("/jailer/vm-1") } },
      { version: 2, path: "/jailer/vm-1", directories: { memory: toHostPath("/cg/../jailer/vm-1") } },
      { version: 2, path: "/jailer/vm_1", directories: { memory: toHostPath("/cg/jailer/vm_1") } },
      { version: 2, path: "", directories: { memory: toHostPath("/cg") } },
    ];
    for (const placement of odd) {
      assert.equal((await rejection(removeCgroups(cgroups.host, placement))).code, "internal", placement.path);
    }
    assert.deepEqual(cgroups.attempts, []);
  });
});

describe("killCgroup", () => {
  it("writes to cgroup.kill on v2", () => {
    const cgroups = new FakeCgroups();
    cgroups.add("/cg/jailer/vm-1");
    assert.equal(killCgroup(cgroups.host, v2), true);
    assert.deepEqual(cgroups.written, ["/cg/jailer/vm-1/cgroup.kill=1"]);
  });

  it("says that it killed nothing where there is no such thing", () => {
    const cgroups = new FakeCgroups();
    assert.equal(killCgroup(cgroups.host, v2), false);
    assert.equal(killCgroup(cgroups.host, v1), false);
  });
});
