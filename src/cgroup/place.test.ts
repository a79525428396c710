import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isWarderError } from "../vm/error.ts";
import { toVmId } from "../vm/id.ts";
import { toHostPath } from "../vm/path.ts";
import type { CgroupHost } from "./detect.ts";
import { directoriesOf, placeVm } from "./place.ts";

const cgroups: CgroupHost = {
  v1: [
    { directory: toHostPath("/cg/cpu,cpuacct"), controllers: ["cpu", "cpuacct"], writable: true },
    { directory: toHostPath("/cg/memory"), controllers: ["memory"], writable: true },
  ],
  v2: { directory: toHostPath("/cg/unified"), controllers: ["memory", "cpu"], writable: true },
  pageBytes: 4096,
  swapFiles: { v1: [], v2: [] },
  v1Cpuset: { cpus: "0", memoryNodes: "0" },
};
const id = toVmId("vm-1");

describe("placeVm", () => {
  it("places a v2 VM in one directory, whatever its controllers", () => {
    const placement = placeVm(cgroups, 2, "jailer", id, ["memory", "cpu"]);
    assert.equal(placement.path, "/jailer/vm-1");
    assert.deepEqual(placement.directories, { memory: "/cg/unified/jailer/vm-1", cpu: "/cg/unified/jailer/vm-1" });
    assert.deepEqual(directoriesOf(placement), ["/cg/unified/jailer/vm-1"]);
  });

  it("places a v1 VM in one directory for each hierarchy, shared by what is mounted together", () => {
    const placement = placeVm(cgroups, 1, "jailer", id, ["memory", "cpu", "cpuacct"]);
    assert.deepEqual(placement.directories, {
      memory: "/cg/memory/jailer/vm-1",
      cpu: "/cg/cpu,cpuacct/jailer/vm-1",
      cpuacct: "/cg/cpu,cpuacct/jailer/vm-1",
    });
    assert.deepEqual(directoriesOf(placement), ["/cg/memory/jailer/vm-1", "/cg/cpu,cpuacct/jailer/vm-1"]);
  });

  it("takes a parent of several levels, such as a delegated slice", () => {
    assert.equal(placeVm(cgroups, 2, "warder.slice/vms", id, ["memory"]).path, "/warder.slice/vms/vm-1");
  });

  it("refuses a parent that would lead elsewhere", () => {
    for (const parent of ["", "/jailer", "jailer/", "a//b", "..", "a/../b", ".", ".hidden", "a b"]) {
      assert.throws(
        () => placeVm(cgroups, 2, parent, id, ["memory"]),
        (error) => isWarderError(error) && error.code === "invalid-config",
        parent,
      );
    }
  });

  it("refuses a controller that is not mounted, by its name", () => {
    assert.throws(
      () => placeVm(cgroups, 1, "jailer", id, ["pids"]),
      (error) => isWarderError(error) && error.code === "cgroup-unavailable" && error.message.includes("pids"),
    );
  });
});
