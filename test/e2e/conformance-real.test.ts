/** The real jailer and Firecracker against the suite that the fakes have to pass. */
import { existsSync, readFileSync } from "node:fs";
import { guestKernel } from "../../src/testing/index.ts";
import { requires } from "../support/capability.ts";
import { realBinaries } from "../support/capability-probes.ts";
import { findCgroupMounts } from "../support/cgroup-mounts.ts";
import { conformance, versionOf } from "../support/conformance.ts";

const binaries = realBinaries() ?? { firecracker: "firecracker", jailer: "jailer" };
const requirement = requires("real-binaries", "root");
const isHere = existsSync(binaries.firecracker);
const mounts = findCgroupMounts(readFileSync("/proc/self/mounts", "utf8"));

conformance({
  name: `the real ${isHere ? versionOf(binaries.firecracker) : "binaries"}`,
  ...binaries,
  version: isHere ? versionOf(binaries.firecracker) : "0.0.0",
  kernel: guestKernel,
  uid: 30_001,
  gid: 30_001,
  base: existsSync("/srv") ? "/srv" : "/var/tmp",
  isPrivileged: true,
  cgroupV1: ["cpu", "memory", "pids", "cpuset"].every((one) => mounts.v1.has(one))
    ? (controller) => mounts.v1.get(controller) ?? ""
    : undefined,
  cgroupV2: mounts.v2,
  requirement,
  guestRequirement: requires("kvm"),
  tapRequirement: requires("tap"),
});
