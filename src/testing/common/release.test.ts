import assert from "node:assert/strict";
import { test } from "node:test";
import { releaseOf } from "./release.ts";

test("a release is what its number says, with or without a v", () => {
  assert.deepEqual(releaseOf("v1.16.1"), releaseOf("1.16.1"));
  assert.throws(() => releaseOf("newest"), /Not a Firecracker version: newest/);
});

test("the copy of the binary is hardened from three releases on", () => {
  const hardened = ["1.12.1", "1.13.1", "1.13.2", "1.14.0", "1.14.1", "1.15.0", "1.16.1"].filter(
    (version) => releaseOf(version).hardenedCopy,
  );
  assert.deepEqual(hardened, ["1.13.2", "1.14.1", "1.15.0", "1.16.1"]);
});

test("snapshots have the version of their format", () => {
  const formats = ["1.11.0", "1.12.1", "1.13.0", "1.14.4", "1.15.1", "1.16.1", "1.17.0"].map(
    (version) => releaseOf(version).snapshotVersion,
  );
  assert.deepEqual(formats, ["5.0.0", "6.0.0", "8.0.0", "8.0.0", "9.0.0", "10.0.0", "11.0.0"]);
});

test("a FIFO needs a reader in two releases only", () => {
  const needing = ["1.13.1", "1.14.0", "1.14.1", "1.14.2"].filter((version) => releaseOf(version).fifoNeedsReader);
  assert.deepEqual(needing, ["1.14.0", "1.14.1"]);
});
