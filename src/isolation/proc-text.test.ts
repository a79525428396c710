import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  parseCgroups,
  parseList,
  parseMountPoints,
  parseResourceLimits,
  parseStatus,
  parseStrings,
} from "./proc-text.ts";

test("status: columns are separated by one space, and no groups are an empty text", () => {
  const { uids, groups, namespacePids, seccomp } = parseStatus(
    "Uid:\t1\t2\t3\t4\nGroups:\t \nNSpid:\t77\t1\nSeccomp:\t2\n",
  );
  assert.deepEqual([uids, groups, namespacePids, seccomp], ["1 2 3 4", "", "77 1", "2"]);
});

test("status: a line that the kernel does not print is undefined, not empty", () => {
  const { groups, seccomp, capabilities } = parseStatus("Name:\tfirecracker\n");
  assert.deepEqual([groups, seccomp, capabilities.effective], [undefined, undefined, undefined]);
});

test("status: a name with a line break in it, which the kernel escapes, can not add lines", () => {
  assert.equal(parseStatus("Name:\tx\\nSeccomp:\t2\nSeccomp:\t0\n").seccomp, "0");
});

test("cgroup: v1, controllers mounted together, named hierarchies and v2 side by side", () => {
  const text = "9:name=systemd:/\n4:memory:/jailer/vm-1\n1:cpu,cpuacct:/jailer/vm:2\n0::/user.slice\n";
  assert.deepEqual(parseCgroups(text), {
    "name=systemd": "/",
    memory: "/jailer/vm-1",
    cpu: "/jailer/vm:2",
    cpuacct: "/jailer/vm:2",
    "": "/user.slice",
  });
});

test("limits: soft and hard of the three that are looked at, and absent where a line is missing", () => {
  const text =
    "Max file size             unlimited            4096                 bytes     \nMax open files            1000                 2000                 files     \n";
  assert.deepEqual(parseResourceLimits(text), {
    openFiles: { soft: "1000", hard: "2000" },
    fileSize: { soft: "unlimited", hard: "4096" },
    coreSize: { soft: "absent", hard: "absent" },
  });
});

test("mountinfo: mount points in order", () => {
  const text =
    "63 42 254:0 /jail/root / rw,relatime - ext4 /dev/vda rw\n64 63 0:5 / /proc rw shared:7 - proc proc rw\n";
  assert.deepEqual(parseMountPoints(text), ["/", "/proc"]);
});

test("strings: an empty text holds none, and an empty string counts", () => {
  assert.deepEqual([parseStrings(""), parseStrings("a\0\0b\0"), parseStrings("\0")], [[], ["a", "", "b"], [""]]);
});

test("list: ranges and single members in any order are the same list", () => {
  assert.deepEqual(parseList("8,0-2,1"), [0, 1, 2, 8]);
});

test("list: what is none is undefined", () => {
  for (const text of ["", "a", "1-", "-1", "1,,2", "1-2-3", "123456"]) assert.equal(parseList(text), undefined, text);
});

test("list: what was written is read back", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(200), { minLength: 1 }), (members) => {
      assert.deepEqual(
        parseList(members.join(",")),
        members.toSorted((one, other) => one - other),
      );
    }),
  );
});
