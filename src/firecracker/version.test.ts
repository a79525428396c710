import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isWarderError } from "../vm/error.ts";
import { knownBugs, knownBugsOf, snapshotFormatOf } from "./bugs.ts";
import { type Feature, features, hasFeature, requireFeature, requireOperation } from "./features.ts";
import { operationName, operations } from "./operations.ts";
import {
  compareToRelease,
  parseVersion,
  parseVersionOutput,
  type ReleaseVersion,
  requireSamePair,
  requireSupported,
} from "./version.ts";

function version(text: string): ReleaseVersion {
  const parsed = parseVersion(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

const withCode = (code: string, pattern: RegExp) => (error: unknown) =>
  isWarderError(error) && error.code === code && pattern.test(error.message);

describe("parseVersion", () => {
  it("reads releases and what is on the way to one", () => {
    assert.deepEqual(parseVersion("v1.12.1"), { major: 1, minor: 12, patch: 1, text: "1.12.1" });
    assert.deepEqual(parseVersion("1.17.0-dev"), { major: 1, minor: 17, patch: 0, text: "1.17.0-dev" });
  });

  it("is undefined for anything else, and never throws", () => {
    for (const text of ["", "1.12", "v1", "1.12.1 ", "1.12.1;rm", "1..2", "9999999.0.0"]) {
      assert.equal(parseVersion(text), undefined, text);
    }
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("1", "2", ".", "v", "-", "d", " ") }), (text) => {
        const parsed = parseVersion(text);
        if (parsed !== undefined) assert.equal(parsed.text, text.replace(/^v/, ""));
      }),
    );
  });
});

describe("parseVersionOutput", () => {
  it("reads the first line of either program, whatever follows", () => {
    const output =
      "Firecracker v1.12.1\n\n2026-11-22T12:37:18.520050908 [anonymous-instance:main] Firecracker exiting …\n";
    assert.equal(parseVersionOutput("Firecracker", output).text, "1.12.1");
    assert.equal(parseVersionOutput("Jailer", "Jailer v1.16.1\n\n").text, "1.16.1");
  });

  it("refuses the other program, and what is neither", () => {
    for (const output of ["Jailer v1.12.1\n", "", "GNU bash, version 5.2\n", "Firecracker\n"]) {
      assert.throws(
        () => parseVersionOutput("Firecracker", output),
        withCode("binary-unfit", /official release/),
        output,
      );
    }
  });
});

describe("requireSupported", () => {
  it("takes every release from 1.12 to 1.16", () => {
    for (const text of ["1.12.0", "1.13.2", "1.14.4", "1.15.1", "1.16.1"]) {
      assert.equal(requireSupported(version(text)).isKnown, true, text);
    }
  });

  it("takes a newer one, and says that it is not known", () => {
    assert.equal(requireSupported(version("1.17.0-dev")).isKnown, false);
  });

  it("refuses an older one, and another major version", () => {
    assert.throws(
      () => requireSupported(version("1.11.9")),
      withCode("version-mismatch", /1\.11\.9, and 1\.12 is the oldest/),
    );
    assert.throws(() => requireSupported(version("2.0.0")), withCode("version-mismatch", /only releases 1\.x/));
  });

  it("refuses a jailer of another release", () => {
    requireSamePair(version("1.12.1"), version("1.12.1"));
    assert.throws(
      () => requireSamePair(version("1.12.1"), version("1.14.1")),
      withCode("version-mismatch", /it is 1\.12\.1, but the jailer is 1\.14\.1/),
    );
  });
});

describe("compareToRelease", () => {
  const part = fc.nat(40);
  it("orders as releases do, and takes a release without a patch for all of its patches", () => {
    fc.assert(
      fc.property(part, part, part, part, (minor, patch, otherMinor, otherPatch) => {
        const one = version(`1.${minor}.${patch}`);
        const order = Math.sign(compareToRelease(one, `1.${otherMinor}.${otherPatch}`));
        assert.equal(order, Math.sign(minor === otherMinor ? patch - otherPatch : minor - otherMinor));
        assert.equal(compareToRelease(one, `1.${minor}`), 0);
      }),
    );
  });
});

describe("features", () => {
  it("are refused by name with the release that has them, before it", () => {
    assert.throws(
      () => requireFeature(version("1.12.1"), "pmem"),
      withCode(
        "feature-unsupported",
        /persistent memory devices \(pmem\) needs Firecracker 1\.14, and this is 1\.12\.1/,
      ),
    );
    requireFeature(version("1.14.0"), "pmem");
  });

  it("are had from their release on", () => {
    const anyFeature = fc.constantFrom(...(Object.keys(features) as Feature[]));
    fc.assert(
      fc.property(anyFeature, fc.integer({ min: 12, max: 20 }), fc.nat(5), (name, minor, patch) => {
        const since = Number(features[name].since.split(".")[1]);
        assert.equal(hasFeature(version(`1.${minor}.${patch}`), name), minor >= since);
      }),
    );
  });

  it("are found in the body of a request", () => {
    const oldest = version("1.12.1");
    requireOperation(oldest, "PUT /network-interfaces", { iface_id: "eth0", host_dev_name: "tap0" });
    assert.throws(
      () => requireOperation(oldest, "PUT /network-interfaces", { iface_id: "eth0", mtu: 1400 }),
      withCode("feature-unsupported", /network-mtu\) needs Firecracker 1\.16/),
    );
    assert.throws(() => requireOperation(oldest, "PUT /serial", {}), withCode("feature-unsupported", /serial/));
    requireOperation(oldest, "PUT /machine-config", { huge_pages: "2M" });
    assert.throws(
      () => requireOperation(oldest, "PUT /machine-config", { huge_pages: "Transparent" }),
      /transparent-huge-pages/,
    );
  });

  it("name only operations that there are", () => {
    const known = new Set(Object.values(operations).map(operationName));
    const named = Object.values(features).flatMap(({ uses }) => (uses ?? []).map(({ operation }) => operation));
    assert.deepEqual(
      named.filter((each) => !known.has(each)),
      [],
    );
  });
});

describe("knownBugs", () => {
  const names = (text: string) => knownBugsOf(version(text)).map(({ name }) => name);

  it("are those of a release, its patches apart", () => {
    assert.ok(names("1.16.1").includes("vsock-after-resume"));
    assert.ok(names("1.16.0").includes("vsock-after-restore"));
    assert.ok(!names("1.16.1").includes("vsock-after-restore"));
    assert.ok(names("1.14.1").includes("fifo-needs-reader"));
    assert.ok(!names("1.14.2").includes("fifo-needs-reader"));
    assert.ok(names("1.13.2").includes("log-files-must-exist"));
    assert.ok(!names("1.15.0").includes("log-files-must-exist"));
    assert.ok(!names("1.15.0").includes("vsock-after-resume"));
  });

  it("each say what happens and what to do", () => {
    for (const bug of knownBugs) assert.ok(bug.what !== "" && bug.advice !== "" && bug.source !== "", bug.name);
  });
});

describe("snapshotFormatOf", () => {
  it("knows the format of every supported release, and none other's", () => {
    const formats = ["1.12.1", "1.13.0", "1.14.4", "1.15.1", "1.16.1", "1.17.0-dev"].map((text) =>
      snapshotFormatOf(version(text)),
    );
    assert.deepEqual(formats, [6, 8, 8, 9, 10, 11]);
    assert.equal(snapshotFormatOf(version("1.18.0")), undefined);
    assert.equal(snapshotFormatOf(version("2.12.0")), undefined);
  });
});
