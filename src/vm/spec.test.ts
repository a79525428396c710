import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isWarderError } from "./error.ts";
import { memoryLimitFor } from "./limits.ts";
import { mibToBytes } from "./size.ts";
import { DEFAULT_BOOT_ARGS, hostDefaults, parseVmSpec } from "./spec.ts";

const kernel = "/srv/vmlinux";

function problemsOf(input: unknown): Record<string, string> {
  try {
    parseVmSpec(input);
  } catch (error) {
    assert.ok(isWarderError(error));
    assert.equal(error.code, "invalid-argument");
    return Object.fromEntries(error.fields.map(({ field, problem }) => [field, problem]));
  }
  return {};
}

describe("parseVmSpec()", () => {
  test("completes a description with the face's defaults", () => {
    const spec = parseVmSpec({ kernel }, { ...hostDefaults, memoryMib: 256, apiSocket: "/tmp/a.sock" });
    assert.equal(spec.memoryMib, 256);
    assert.equal(spec.apiSocket, "/tmp/a.sock");
    assert.equal(spec.vcpus, 1);
    assert.equal(spec.policy, "strict");
    assert.equal(spec.bootArgs, DEFAULT_BOOT_ARGS);
    assert.deepEqual(spec.limits, {
      memoryBytes: memoryLimitFor(mibToBytes(256)),
      cpuPercent: 100,
      pids: 1024,
      openFiles: 2048,
    });
    assert.ok(!("uid" in spec));
    assert.ok(Object.isFrozen(spec));
  });
  test("keeps the limits that are given and completes the others", () => {
    const { limits } = parseVmSpec({ kernel, vcpus: 2, limits: { pids: 7 } });
    assert.equal(limits.pids, 7);
    assert.equal(limits.cpuPercent, 200);
  });
  test("names the root disk rootfs and the others by their number", () => {
    const { drives } = parseVmSpec({
      kernel,
      drives: [{ path: "/a" }, { path: "/b", root: true }, { path: "/c", id: "data" }],
    });
    assert.deepEqual(
      drives.map(({ id }) => id),
      ["drive_0", "rootfs", "data"],
    );
  });

  const wrong: readonly (readonly [string, object, string, RegExp])[] = [
    ["a missing kernel", { kernel: undefined }, "kernel", /./],
    ["a relative kernel", { kernel: "vmlinux" }, "kernel", /absolute/],
    ["an unknown field", { kernal: "/x" }, "kernal", /not a known field/],
    ["an unknown field further in", { limits: { ram: 1 } }, "limits.ram", /not a known field/],
    ["no CPU", { vcpus: 0 }, "vcpus", /at least 1/],
    ["33 CPUs", { vcpus: 33 }, "vcpus", /at most 32/],
    ["half a CPU", { vcpus: 0.5 }, "vcpus", /./],
    ["127 MiB", { memoryMib: 127 }, "memoryMib", /at least 128/],
    ["a text for a number", { memoryMib: "256" }, "memoryMib", /must be a number/],
    ["uid 0", { uid: 0 }, "uid", /must not be 0/],
    ["a negative uid", { uid: -1 }, "uid", /whole number/],
    ["uid 2^32 - 1", { uid: 4294967295 }, "uid", /below/],
    ["a gid alone", { gid: 5 }, "uid", /needed beside gid/],
    ["an id with an underscore", { id: "a_b" }, "id", /only the letters/],
    ["a socket outside the jail", { apiSocket: "/run/../../x" }, "apiSocket", /component/],
    ["a kernel argument with a newline", { bootArgs: "a\nb" }, "bootArgs", /printable/],
    ["too many kernel arguments", { bootArgs: "x".repeat(2048) }, "bootArgs", /2047/],
    ["an unknown policy", { policy: "lax" }, "policy", /strict, degrade/],
    [
      "a ladder that does not end with sigkill",
      { shutdown: [{ method: "sigterm", timeoutMs: 1 }] },
      "shutdown",
      /sigkill/,
    ],
    ["an empty ladder", { shutdown: [] }, "shutdown", /sigkill/],
    [
      "two root disks",
      {
        drives: [
          { path: "/a", root: true },
          { path: "/b", root: true, id: "b" },
        ],
      },
      "drives",
      /one drive/,
    ],
    [
      "two disks of one id",
      {
        drives: [
          { path: "/a", id: "x" },
          { path: "/b", id: "x" },
        ],
      },
      "drives[1].id",
      /twice/,
    ],
    ["a disk's id with a hyphen", { drives: [{ path: "/a", id: "a-b" }] }, "drives[0].id", /underscores/],
    ["a device that is a path", { limits: { io: [{ device: "/dev/sda" }] } }, "limits.io[0].device", /major:minor/],
    ["CPUs that are no list", { limits: { cpus: "a-b" } }, "limits.cpus", /0-3,8/],
    ["too few open files", { limits: { openFiles: 10 } }, "limits.openFiles", /at least 64/],
    ["a network namespace without the jailer", { jailed: false, netns: "/run/netns/x" }, "netns", /needs the jailer/],
  ];
  for (const [what, input, field, problem] of wrong) {
    test(`refuses ${what}`, () => assert.match(problemsOf({ kernel, ...input })[field] ?? "(no problem)", problem));
  }
  test("refuses what is no object", () => {
    for (const input of [undefined, null, 7, "vm", []])
      assert.deepEqual(Object.keys(problemsOf(input)), ["(the whole)"]);
  });
  test("names all wrong fields at once", () => {
    assert.deepEqual(Object.keys(problemsOf({ kernel: "x", vcpus: 0, id: "" })).sort(), ["id", "kernel", "vcpus"]);
  });
  test("either refuses with fields or gives a spec whose limits hold the guest", () => {
    const input = fc.record({
      kernel: fc.constant(kernel),
      vcpus: fc.integer({ min: -1, max: 40 }),
      memoryMib: fc.integer({ min: 100, max: 100_000 }),
    });
    fc.assert(
      fc.property(input, (given) => {
        if (Object.keys(problemsOf(given)).length > 0) return;
        const spec = parseVmSpec(given);
        assert.ok((spec.limits.memoryBytes ?? 0) > mibToBytes(spec.memoryMib));
        assert.equal(spec.limits.cpuPercent, spec.vcpus * 100);
      }),
    );
  });
});
