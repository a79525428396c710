import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WarderError } from "../vm/error.ts";
import { toHostPath } from "../vm/path.ts";
import { chooseVersion } from "./choose.ts";
import type { CgroupHost, Hierarchy } from "./detect.ts";

const hierarchy = (name: string, controllers: readonly string[], writable = true): Hierarchy => ({
  directory: toHostPath(`/cg/${name}`),
  controllers,
  writable,
});
const hostWith = (v1: readonly Hierarchy[], v2?: Hierarchy): CgroupHost => ({
  v1,
  ...(v2 === undefined ? {} : { v2 }),
  pageBytes: 4096,
  swapFiles: { v1: [], v2: [] },
  v1Cpuset: { cpus: "0", memoryNodes: "0" },
});
const v1All = ["memory", "cpu", "pids", "cpuset", "blkio"].map((name) => hierarchy(name, [name]));
const always = ["memory", "cpu", "pids"] as const;

function refusal(act: () => unknown): WarderError {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof WarderError);
    assert.equal(error.code, "cgroup-unavailable");
    return error;
  }
  assert.fail("it was not refused");
}

describe("chooseVersion", () => {
  const v2Full = hierarchy("unified", ["cpuset", "cpu", "io", "memory", "pids"]);

  it("prefers v2 where the cgroup2 mount holds everything needed", () => {
    assert.equal(chooseVersion(hostWith(v1All, v2Full), always), 2);
  });

  it("takes v1 on a hybrid host, whose cgroup2 mount holds something else", () => {
    assert.equal(chooseVersion(hostWith(v1All, hierarchy("unified", ["hugetlb"])), always), 1);
  });

  it("takes v1 where only one needed controller is missing on v2", () => {
    assert.equal(chooseVersion(hostWith(v1All, hierarchy("unified", ["memory", "cpu", "pids"])), [...always, "io"]), 1);
  });

  it("gives what is asked for where both would do", () => {
    assert.equal(chooseVersion(hostWith(v1All, v2Full), always, 1), 1);
  });

  it("refuses v2 on a hybrid host by naming what is missing where, and says what would work", () => {
    const error = refusal(() => chooseVersion(hostWith(v1All, hierarchy("unified", ["hugetlb"])), always, 2));
    assert.equal(
      error.why,
      "cgroup v2 was asked for, but the cgroup2 mount /cg/unified holds only hugetlb: memory, cpu, pids are missing",
    );
    assert.match(error.cure ?? "", /Ask for cgroup version 1/);
  });

  it("refuses v1 on a v2 host, with blkio under its v1 name", () => {
    const error = refusal(() => chooseVersion(hostWith([], v2Full), [...always, "io"], 1));
    assert.match(error.why, /the v1 mounts hold no controller: memory, cpu, pids, blkio are missing/);
    assert.match(error.cure ?? "", /Ask for cgroup version 2/);
  });

  it("says of both versions what they lack where neither will do", () => {
    const error = refusal(() => chooseVersion(hostWith([hierarchy("cpu", ["cpu"])]), always));
    assert.match(error.why, /no cgroup2 file system is mounted; the v1 mounts hold only cpu: memory, pids are missing/);
    assert.match(error.cure ?? "", /systemd\.unified_cgroup_hierarchy=1/);
  });

  it("does not take mounts that it could not write to", () => {
    const fixed = hierarchy("unified", v2Full.controllers, false);
    assert.equal(chooseVersion(hostWith(v1All, fixed), always), 1);
    assert.match(
      refusal(() => chooseVersion(hostWith([], fixed), always, 2)).why,
      /the cgroup2 mount \/cg\/unified is read-only/,
    );
    const v1Fixed = v1All.map((each) => ({ ...each, writable: false }));
    assert.match(
      refusal(() => chooseVersion(hostWith(v1Fixed), always, 1)).why,
      /the v1 mount \/cg\/memory is read-only/,
    );
  });
});
