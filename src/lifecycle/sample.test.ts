import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { VmRecord } from "../vm/record.ts";
import type { Machinery } from "./machinery.ts";
import { Meters } from "./meters.ts";
import { hostSource } from "./sample.ts";

const live = {
  id: "vm-live",
  state: "running",
  incarnation: 3,
  startedAt: 5,
  spec: { vcpus: 2, memoryMib: 128, limits: { memoryBytes: 1000 } },
  isolation: { level: "degraded", gaps: ["uid: …"] },
} as unknown as VmRecord;
const ended = {
  id: "vm-ended",
  state: "exited",
  incarnation: 1,
  spec: { vcpus: 1, memoryMib: 1, limits: {} },
} as unknown as VmRecord;

/** A host with these two VMs, whose directories may be missing. */
function machinery(freeBytes: (path: string) => number = () => 7): Machinery {
  return {
    host: { files: { freeBytes } },
    store: {
      list: () => [live, ended],
      ledger: () => [{ vmId: "vm-live" }, { vmId: "vm-ended" }, { vmId: "vm-ended" }],
      leases: { count: (kind: string) => (kind === "uid" ? 2 : 0), resting: () => [{}] },
    },
    settings: {
      stateDir: "/s",
      chrootBase: "/j",
      uidRange: { first: 1n, count: 100n },
      network: { hostPorts: { first: 1, count: 10 } },
    },
    meters: new Meters(() => 0),
  } as unknown as Machinery;
}

describe("what is measured of a host", () => {
  test("is what its records, leases and ledger say", () => {
    const { vms, leases, remains, metricsLines } = hostSource(machinery(), (id) => id === live.id).sample();
    const [first, second] = vms.map(({ measure: _measure, ...facts }) => facts);
    assert.deepEqual(first, {
      id: "vm-live",
      state: "running",
      isLive: true,
      isolation: { level: "degraded", gaps: 1 },
      vcpus: 2,
      memoryBytes: 128 * 1024 * 1024,
      memoryLimitBytes: 1000,
      runs: 3,
      startedAt: 5,
      isHealthy: true,
    });
    assert.deepEqual([second?.isLive, second?.isolation, second?.startedAt], [false, undefined, undefined]);
    assert.deepEqual(
      leases.filter(({ kind }) => kind === "uid" || kind === "host-port" || kind === "vsock-cid"),
      [
        { kind: "uid", used: 2, resting: 1, total: 100 },
        { kind: "vsock-cid", used: 0 },
        { kind: "host-port", used: 0, total: 10 },
      ],
    );
    assert.equal(remains, 2, "what is left of VMs without a process");
    assert.deepEqual(metricsLines, { taken: 0, refused: 0 });
  });

  test("is nothing of a VM whose output is not read, that has no process and that nobody looked at", () => {
    const [first] = hostSource(machinery()).sample().vms;
    assert.equal(first?.isHealthy, undefined);
    assert.deepEqual(first?.measure(), { usage: {} });
  });

  test("leaves out directories that are gone, and fails where one can not be looked at", () => {
    const failing = (code: string) => (path: string) => {
      if (path === "/j") throw Object.assign(new Error(code), { code });
      return 7;
    };
    assert.deepEqual(hostSource(machinery(failing("ENOENT"))).sample().freeBytes, [{ directory: "state", bytes: 7 }]);
    assert.throws(() => hostSource(machinery(failing("EACCES"))).sample(), /EACCES/);
  });
});
