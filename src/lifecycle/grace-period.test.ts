import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { CgroupHost } from "../cgroup/detect.ts";
import type { Host } from "../host/host.ts";
import { openHost } from "../host/real/host.ts";
import { gracePeriodAsker } from "./grace-period.ts";

/** A directory as a host, on which this process is in the given cgroups, and a clock that is moved by hand. */
function place(t: TestContext, own: string) {
  const directory = mkdtempSync(join(tmpdir(), "warder-grace-"));
  t.after(() => rmSync(directory, { recursive: true }));
  mkdirSync(`${directory}/proc/self`, { recursive: true });
  mkdirSync(`${directory}/memory/below`, { recursive: true });
  writeFileSync(`${directory}/proc/self/cgroup`, own);
  for (const path of ["memory", "memory/below"]) writeFileSync(`${directory}/${path}/cgroup.procs`, "");
  const real = openHost();
  const clock = { now: 0 };
  const moves: string[] = [];
  const host: Host = {
    ...real,
    roots: { ...real.roots, proc: `${directory}/proc` },
    clock: { ...real.clock, monotonic: () => clock.now },
    files: {
      ...real.files,
      async writeControlAside(path, text) {
        moves.push(path.replace(directory, ""));
        await real.files.writeControlAside(path, text);
      },
    },
  };
  const hierarchy = { directory: `${directory}/memory`, controllers: ["memory"], writable: true };
  const cgroups = (writable: boolean) => ({ v1: [{ ...hierarchy, writable }] }) as unknown as CgroupHost;
  return { directory, host, cgroups, clock, moves };
}

/** Until all that was begun is over. */
async function settle(): Promise<void> {
  for (let turns = 0; turns < 50; turns++) await turn();
}

describe("the kernel's grace period", () => {
  it("is asked for by a move to where this process is, once at a time and no sooner than it can matter", async (t) => {
    const { directory, host, cgroups, clock, moves } = place(t, "4:memory:/below\n");
    const ask = gracePeriodAsker(host, cgroups(true));
    ask();
    ask();
    await settle();
    assert.deepEqual(moves, ["/memory/below/cgroup.procs"]);
    assert.equal(readFileSync(`${directory}/memory/below/cgroup.procs`, "utf8"), "0");
    clock.now = 2;
    ask();
    clock.now = 4;
    ask();
    await settle();
    assert.equal(moves.length, 2);
  });

  it("is asked for at the top of a hierarchy, too", async (t) => {
    const { host, cgroups, moves } = place(t, "4:memory:/\n");
    gracePeriodAsker(host, cgroups(true))();
    await settle();
    assert.deepEqual(moves, ["/memory/cgroup.procs"]);
  });

  it("is not asked for where nothing may be written, or this process is nowhere", async (t) => {
    const readOnly = place(t, "4:memory:/\n");
    gracePeriodAsker(readOnly.host, readOnly.cgroups(false))();
    const elsewhere = place(t, "4:cpu:/\n");
    gracePeriodAsker(elsewhere.host, elsewhere.cgroups(true))();
    await settle();
    assert.deepEqual([readOnly.moves, elsewhere.moves], [[], []]);
  });

  it("that can not be asked for is no error, as it only was to save time", async (t) => {
    const { directory, host, cgroups, clock, moves } = place(t, "4:memory:/gone\n");
    const ask = gracePeriodAsker(host, cgroups(true));
    ask();
    await settle();
    rmSync(`${directory}/proc`, { recursive: true });
    clock.now = 10;
    ask();
    await settle();
    assert.deepEqual(moves, ["/memory/gone/cgroup.procs"]);
  });
});
