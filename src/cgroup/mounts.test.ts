import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseMounts } from "./mounts.ts";

/** As the kernel writes a path into the file. */
const escapePath = (path: string) =>
  path.replaceAll(/[ \t\n\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`);

describe("parseMounts", () => {
  it("reads path, type and options of each line", () => {
    const text =
      "tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0\ncgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n";
    assert.deepEqual(parseMounts(text), [
      { path: "/sys/fs/cgroup", type: "tmpfs", options: ["rw", "mode=755"] },
      { path: "/sys/fs/cgroup/cpu,cpuacct", type: "cgroup", options: ["rw", "cpu", "cpuacct"] },
    ]);
  });

  it("undoes the kernel's octal escapes", () => {
    assert.deepEqual(parseMounts("none /mnt/a\\040b\\134c\\011d cgroup2 rw 0 0"), [
      { path: "/mnt/a b\\c\td", type: "cgroup2", options: ["rw"] },
    ]);
  });

  it("leaves out what is no mount", () => {
    for (const line of ["", "garbage", "none relative cgroup rw 0 0", "none /x", "none /x cgroup"]) {
      assert.deepEqual(parseMounts(line), [], line);
    }
  });

  it("never throws, whatever the file holds", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 120 }), (text) => Array.isArray(parseMounts(text))));
  });

  it("gets any path back from what the kernel writes for it", () => {
    const path = fc
      .string({ unit: fc.constantFrom("a", "/", " ", "\t", "\n", "\\", "0", "4", "é") })
      .map((text) => `/${text}`);
    fc.assert(
      fc.property(path, (wanted) => {
        assert.equal(parseMounts(`none ${escapePath(wanted)} cgroup rw 0 0`)[0]?.path, wanted);
      }),
    );
  });
});
