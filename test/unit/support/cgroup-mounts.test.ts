import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findCgroupMounts } from "../../support/cgroup-mounts.ts";

describe("findCgroupMounts", () => {
  it("finds the controllers of version 1 and the place of version 2", () => {
    const { v1, v2 } = findCgroupMounts(
      [
        "tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0",
        "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,cpu,cpuacct 0 0",
        "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0",
        "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,nosuid 0 0",
        "",
      ].join("\n"),
    );
    assert.equal(v1.get("cpu"), "/sys/fs/cgroup/cpu,cpuacct");
    assert.equal(v1.get("memory"), "/sys/fs/cgroup/memory");
    assert.equal(v1.get("pids"), undefined);
    assert.equal(v2, "/sys/fs/cgroup/unified");
  });

  it("finds nothing where there is nothing, and nothing that cannot be written", () => {
    assert.deepEqual(findCgroupMounts(""), { v1: new Map(), v2: undefined });
    assert.equal(findCgroupMounts("cgroup2 /sys/fs/cgroup cgroup2 ro,nosuid 0 0").v2, undefined);
  });
});
