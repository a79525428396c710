import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { openHost } from "../host/real/host.ts";
import { isWarderError, type WarderError } from "../vm/error.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import type { CgroupPlacement } from "../vm/record.ts";
import { ancestorsOf, ensureParent } from "./parent.ts";

/** A directory stands in for a mounted hierarchy: files that the kernel would show are written by the tests. */
const host = openHost();
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "warder-cgroup-"));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function file(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

const at = (path: string): HostPath => toHostPath(join(root, path));

function refusal(act: () => unknown): WarderError {
  try {
    act();
  } catch (error) {
    if (isWarderError(error)) return error;
    throw error;
  }
  return assert.fail("it was not refused");
}

const v2Placement = (controllers: readonly string[] = ["memory", "cpu", "pids"]): CgroupPlacement => ({
  version: 2,
  path: "/jailer/vm-1",
  directories: Object.fromEntries(controllers.map((each) => [each, at("jailer/vm-1")])),
});
const v1Placement = (...controllers: string[]): CgroupPlacement => ({
  version: 1,
  path: "/jailer/vm-1",
  directories: Object.fromEntries(controllers.map((each) => [each, at(`${each}/jailer/vm-1`)])),
});

describe("ensureParent", () => {
  const check = () => ensureParent(host, v2Placement(), ["memory", "cpu", "pids"]);

  it("names every directory between the mount and the VM", () => {
    assert.deepEqual(ancestorsOf(v2Placement()), [root, at("jailer")]);
  });

  it("refuses an id whose cgroup is there already, on either version", () => {
    file("memory/jailer/vm-1/cgroup.procs", "");
    assert.equal(
      refusal(() => ensureParent(host, v1Placement("cpu", "memory"), ["cpu", "memory"])).code,
      "jail-exists",
    );
    file("jailer/vm-1/cgroup.procs", "");
    assert.equal(refusal(check).code, "jail-exists");
  });

  it("lets processes be in the root of the hierarchy, which has no type", () => {
    file("cgroup.controllers", "memory cpu pids io");
    file("cgroup.subtree_control", "");
    file("cgroup.procs", "1\n2\n");
    check();
  });

  it("refuses a root that holds processes where it is a container's, and names them", () => {
    file("cgroup.controllers", "memory cpu pids io");
    file("cgroup.subtree_control", "memory");
    file("cgroup.type", "domain");
    file("cgroup.procs", "1\n20\n");
    const error = refusal(check);
    assert.equal(error.code, "cgroup-unavailable");
    assert.match(error.why, /holds 2 process\(es\) \(1, 20\), so it can not pass cpu, pids down/);
    assert.match(error.cure ?? "", /Move them/);
  });

  it("refuses a parent that holds processes, or lacks a controller, or is threaded", () => {
    file("cgroup.controllers", "memory cpu pids");
    file("cgroup.subtree_control", "memory cpu pids");
    file("jailer/cgroup.controllers", "memory cpu pids");
    file("jailer/cgroup.subtree_control", "");
    file("jailer/cgroup.type", "domain");
    file("jailer/cgroup.procs", "7\n");
    assert.match(refusal(check).why, /holds 1 process/);
    file("jailer/cgroup.procs", "");
    check();
    file("jailer/cgroup.type", "threaded");
    assert.match(refusal(check).why, /it is threaded/);
    file("jailer/cgroup.controllers", "memory");
    assert.match(refusal(check).why, /it lacks cpu, pids/);
  });

  it("takes a parent that passes everything down already, whatever else is true of it", () => {
    for (const path of ["", "jailer/"]) file(`${path}cgroup.subtree_control`, "memory cpu pids");
    file("jailer/cgroup.procs", "");
    check();
  });
});
