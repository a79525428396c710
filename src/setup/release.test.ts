import assert from "node:assert/strict";
import { test } from "node:test";
import { releaseOf, sumOf, wantedMembers } from "./release.ts";

const sum = "0123456789abcdef".repeat(4);

test("a release lies on the project's own release page", () => {
  assert.deepEqual(releaseOf("1.16.1", "x86_64"), {
    version: "1.16.1",
    archive: "firecracker-v1.16.1-x86_64.tgz",
    archiveUrl:
      "https://github.com/firecracker-microvm/firecracker/releases/download/v1.16.1/firecracker-v1.16.1-x86_64.tgz",
    sumsUrl:
      "https://github.com/firecracker-microvm/firecracker/releases/download/v1.16.1/firecracker-v1.16.1-x86_64.tgz.sha256.txt",
  });
});

const listing = [
  "release-v1.16.1-x86_64/LICENSE",
  "release-v1.16.1-x86_64/firecracker-v1.16.1-x86_64.debug",
  "release-v1.16.1-x86_64/firecracker-v1.16.1-x86_64",
  "release-v1.16.1-x86_64/jailer-v1.16.1-x86_64",
];

test("of a release's archive only the two binaries are wanted", () => {
  assert.deepEqual(wantedMembers(listing.join("\n"), "x86_64"), listing.slice(2));
  const dotted = listing.map((name) => `./${name}`);
  assert.deepEqual(wantedMembers(dotted.join("\n"), "x86_64"), dotted.slice(2));
});

for (const [what, names] of [
  ["without a jailer", listing.slice(0, 3)],
  ["for another architecture", listing.map((name) => name.replaceAll("x86_64", "aarch64"))],
  ["whose names lead elsewhere", listing.map((name) => `../${name}`)],
  ["whose jailer is of another version", listing.with(3, "release-v1.16.1-x86_64/jailer-v1.15.1-x86_64")],
] as const) {
  test(`an archive ${what} has nothing that is wanted`, () => {
    assert.equal(wantedMembers(names.join("\n"), "x86_64"), undefined);
  });
}

test("a sum is found by the file's name, whatever directory it stands in", () => {
  assert.equal(sumOf(`${sum}  a.tgz\n`, "a.tgz"), sum);
  assert.equal(sumOf(`${"f".repeat(64)}  b.tgz\n${sum.toUpperCase()} *./out/a.tgz\r\n`, "a.tgz"), sum);
});

test("what is no line of sha256sum for that file has no sum", () => {
  for (const text of ["", "<html>not found</html>", `${sum}  b.tgz`, `${sum}  a.tgz.sig`, `${sum.slice(1)}  a.tgz`]) {
    assert.equal(sumOf(text, "a.tgz"), undefined);
  }
});
