import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { toHostPath } from "../../src/vm/path.ts";
import { requires } from "../support/capability.ts";
import { ANYBODY, examine, Place } from "../support/doctor-place.ts";
import { fakeBinary, fakePair } from "../support/setup-binaries.ts";

const root = requires("root");

for (const { what, code, options, found } of [
  {
    what: "a dynamic Firecracker",
    code: "binaries-static",
    options: { segments: [3, 1] },
    found: /is dynamically linked/,
  },
  {
    what: "a Firecracker of a user's",
    code: "binaries-owner",
    options: { uid: ANYBODY },
    found: /belongs to user 65533/,
  },
  { what: "a Firecracker that all may write", code: "binaries-owner", options: { mode: 0o757 }, found: /mode 757/ },
  {
    what: "a Firecracker for another machine",
    code: "firecracker-binary",
    options: { machine: 183 },
    found: /is for aarch64/,
  },
  {
    what: "a Firecracker that may not be run",
    code: "firecracker-binary",
    options: { mode: 0o644 },
    found: /is not executable/,
  },
  {
    what: "a Firecracker of another version",
    code: "binaries-version-match",
    options: { version: "1.15.1" },
    found: /Firecracker is 1\.15\.1 and the jailer is 1\.16\.1/,
  },
] as const) {
  test(`${what} is ${code}'s problem`, root, async (t) => {
    const place = new Place(t);
    const { directory, settings } = place;
    fakeBinary(`${directory}/firecracker`, options);
    const finding = (await examine(settings))[code];
    assert.equal(finding?.status, "problem");
    assert.match(finding?.found ?? "", found);
  });
}

test("a script and a missing file are no binaries", root, async (t) => {
  const place = new Place(t);
  const { directory, settings } = place;
  writeFileSync(`${directory}/firecracker`, `#!/bin/sh\n${"#".repeat(100)}\n`, { mode: 0o755 });
  const found = await examine({ ...settings, jailer: toHostPath(`${directory}/none`) });
  assert.match(found["firecracker-binary"]?.found ?? "", /is not a 64-bit Linux program/);
  assert.match(found["jailer-binary"]?.found ?? "", /none does not exist/);
});

test("a directory above the binaries that others may write is found", root, async (t) => {
  const place = new Place(t);
  const { directory, settings } = place;
  chmodSync(directory, 0o770);
  assert.match(
    (await examine(settings))["binaries-owner"]?.found ?? "",
    /is writable by others than root \(mode 770\)/,
  );
});

test("a Firecracker out of support is a warning, and jails can be made", root, async (t) => {
  const place = new Place(t);
  const { directory, settings } = place;
  fakePair(directory, "1.12.1");
  const finding = (await examine(settings))["binaries-supported"];
  assert.deepEqual(
    [finding?.status, finding?.found],
    ["warning", "1.12.1 is out of support upstream; 1.14.1 or newer is needed"],
  );
});
