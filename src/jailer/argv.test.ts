import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { toHostPath } from "../vm/path.ts";
import { type JailerArguments, jailerArgv } from "./argv.ts";

const least: JailerArguments = {
  id: "vm-1",
  execFile: toHostPath("/usr/bin/firecracker"),
  uid: 1000,
  gid: 1001,
  chrootBase: toHostPath("/srv/jailer"),
  cgroupVersion: 2,
  parentCgroup: "jailer",
  cgroups: [],
  firecracker: ["--api-sock", "/run/firecracker.socket"],
};

describe("jailerArgv()", () => {
  test("names what the jailer must be told, and the cgroup version always", () => {
    assert.equal(
      jailerArgv(least).join(" "),
      "--id vm-1 --exec-file /usr/bin/firecracker --uid 1000 --gid 1001 --chroot-base-dir /srv/jailer " +
        "--cgroup-version 2 --parent-cgroup jailer -- --api-sock /run/firecracker.socket",
    );
  });
  test("passes limits by the flags that the real jailer has", () => {
    const argv = jailerArgv({
      ...least,
      cgroupVersion: 1,
      cgroups: ["memory.limit_in_bytes=134217728", "cpu.cfs_quota_us=100000"],
      openFiles: 1024,
      fileSizeBytes: 5,
      netns: toHostPath("/run/netns/fc-vm-1"),
      newPidNamespace: true,
    });
    assert.match(
      argv.join(" "),
      /--cgroup memory\.limit_in_bytes=134217728 --cgroup cpu\.cfs_quota_us=100000 --resource-limit no-file=1024 --resource-limit fsize=5 --netns \/run\/netns\/fc-vm-1 --new-pid-ns -- /,
    );
  });
  test("never daemonizes, and never writes --name=value", () => {
    const text = fc.string({ minLength: 1 });
    fc.assert(
      fc.property(fc.array(text), fc.option(fc.nat(), { nil: undefined }), (cgroups, openFiles) => {
        const argv = jailerArgv({ ...least, cgroups, ...(openFiles === undefined ? {} : { openFiles }) });
        const own = argv.slice(0, argv.lastIndexOf("--"));
        const names = own.filter((_word, index) => index % 2 === 0);
        assert.ok(names.every((name) => /^--[a-z-]+$/.test(name)));
        assert.ok(!own.includes("--daemonize"));
        assert.deepEqual(
          own.filter((_word, index) => own[index - 1] === "--cgroup"),
          cgroups,
        );
      }),
    );
  });
});
