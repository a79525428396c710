import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Machine, requirement, requires } from "../../support/capability.ts";
import { type Capability, PROBES, type Probe, realBinaries } from "../../support/capability-probes.ts";

/** A machine that misses the given capabilities and has all others. */
function machine(gaps: Partial<Record<Capability, string>>, required?: string): Machine {
  const probes = Object.fromEntries(Object.keys(PROBES).map((name) => [name, () => gaps[name as Capability]]));
  return { probes: probes as Record<Capability, Probe>, required };
}

describe("requirement", () => {
  it("is nothing where all is there", () => {
    assert.deepEqual(requirement(machine({ kvm: "none" }), ["root", "gcc"]), {});
  });

  it("skips with all that is missing and why", () => {
    const gaps = machine({ kvm: "/dev/kvm is missing", root: "you are nobody" });
    assert.deepEqual(requirement(gaps, ["root", "gcc", "kvm"]), {
      skip: "needs root + kvm: you are nobody; /dev/kvm is missing",
    });
  });

  for (const required of ["kvm", "root, kvm", "all"]) {
    it(`fails the test where WARDER_REQUIRE=${required}`, () => {
      const { skip, signal } = requirement(machine({ kvm: "none" }, required), ["kvm"]);
      assert.equal(skip, undefined);
      assert.ok(signal?.aborted);
      assert.match(String(signal.reason), /needs kvm: none/);
    });
  }

  it("skips what WARDER_REQUIRE does not name", () => {
    assert.deepEqual(requirement(machine({ kvm: "none" }, "root,gcc"), ["kvm"]), { skip: "needs kvm: none" });
  });

  it("refuses a WARDER_REQUIRE that names no capability", () => {
    assert.throws(() => requirement(machine({}, "kvn"), ["gcc"]), /WARDER_REQUIRE names kvn/);
  });

  it("looks for a capability once", () => {
    let asked = 0;
    const counting = machine({});
    const probes = {
      ...counting.probes,
      kvm: () => {
        asked += 1;
        return "none";
      },
    };
    requirement({ ...counting, probes }, ["kvm"]);
    requirement({ ...counting, probes }, ["kvm"]);
    assert.equal(asked, 1);
  });
});

describe("requires", () => {
  it("knows of each capability whether this machine has it", () => {
    for (const [capability, probe] of Object.entries(PROBES)) {
      const answer = probe();
      assert.ok(answer === undefined || answer.length > 10, `${capability}: ${answer}`);
    }
  });

  it("asks nothing of a test that needs nothing", () => {
    assert.deepEqual(requires(), {});
  });
});

describe("realBinaries", () => {
  function cache(t: { after: (fn: () => void) => void }, ...versions: readonly string[]): string {
    const directory = mkdtempSync(join(tmpdir(), "warder-capability-"));
    t.after(() => rmSync(directory, { recursive: true }));
    for (const version of versions) {
      mkdirSync(join(directory, "bin", version), { recursive: true });
      for (const name of ["firecracker", "jailer"]) writeFileSync(join(directory, "bin", version, name), "");
    }
    return directory;
  }

  it("takes the newest of the cache, by number", (t) => {
    const directory = cache(t, "v1.9.1", "v1.14.1", "v1.2.0");
    assert.deepEqual(realBinaries({ WARDER_CACHE_DIR: directory }), {
      firecracker: join(directory, "bin/v1.14.1/firecracker"),
      jailer: join(directory, "bin/v1.14.1/jailer"),
    });
  });

  it("passes over a version without a jailer", (t) => {
    const directory = cache(t, "v1.9.1", "v1.14.1");
    rmSync(join(directory, "bin/v1.14.1/jailer"));
    assert.equal(realBinaries({ WARDER_CACHE_DIR: directory })?.jailer, join(directory, "bin/v1.9.1/jailer"));
  });

  it("prefers those that are named, and takes no others instead", (t) => {
    const directory = cache(t, "v1.14.1");
    const named = { WARDER_FIRECRACKER: "/nowhere/firecracker", WARDER_JAILER: "/nowhere/jailer" };
    assert.equal(realBinaries({ WARDER_CACHE_DIR: directory, ...named }), undefined);
  });

  it("finds none where there is no cache", () => {
    assert.equal(realBinaries({ HOME: "/nowhere" }), undefined);
  });
});
