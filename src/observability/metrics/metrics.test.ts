import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { WarderError } from "../../vm/error.ts";
import { BoundedLabel, OTHER } from "./bounded-label.ts";
import type { HostSample, VmMeasure, VmSample } from "./host-sample.ts";
import { Metrics } from "./metrics.ts";

const usage: VmMeasure["usage"] = {
  cpuMicroseconds: 1_500_000,
  throttledMicroseconds: 250_000,
  memoryBytes: 4096,
  memoryPeakBytes: 8192,
  oomKills: 1,
  pids: 3,
  readBytes: 10,
  writtenBytes: 20,
};

function vm(id: string, overrides: Partial<VmSample> = {}): VmSample {
  return {
    id,
    state: "running",
    isLive: true,
    isolation: { level: "proven", gaps: 0 },
    vcpus: 2,
    memoryBytes: 1024,
    runs: 4,
    startedAt: 5_000,
    measure: () => ({ usage }),
    ...overrides,
  };
}

function host(vms: readonly VmSample[], overrides: Partial<HostSample> = {}): HostSample {
  return { vms, leases: [], remains: 0, freeBytes: [], metricsLines: { taken: 0, refused: 0 }, ...overrides };
}

/** Metrics of a host that a test changes as it likes. Every look is a fresh one. */
function metricsOf(sample: () => HostSample, vmSeriesLimit = 10) {
  const clock = { ms: 0 };
  const metrics = new Metrics({ version: "1.2.3", vmSeriesLimit, ownProcess: false, now: () => clock.ms });
  metrics.measure({ sample });
  const lines = async () => {
    clock.ms += 1_000;
    return (await metrics.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  };
  return { metrics, clock, lines };
}

async function matching(lines: () => Promise<string[]>, pattern: RegExp): Promise<string[]> {
  return (await lines()).filter((line) => pattern.test(line));
}

describe("metrics of the host", () => {
  test("count VMs by state and by isolation, those without a process only by state", async () => {
    const { lines } = metricsOf(() =>
      host([
        vm("a"),
        vm("b", { isolation: { level: "degraded", gaps: 2 }, isHealthy: false }),
        vm("c", { state: "exited", isLive: false }),
        vm("d", { state: "paused" }),
      ]),
    );
    assert.deepEqual(await matching(lines, /^warder_vms[{_].* [1-9]/), [
      'warder_vms{state="running"} 2',
      'warder_vms{state="paused"} 1',
      'warder_vms{state="exited"} 1',
      'warder_vms_isolation{level="proven"} 2',
      'warder_vms_isolation{level="degraded"} 1',
      "warder_vms_unhealthy 1",
      "warder_vms_memory_bytes 3072",
      "warder_vms_vcpus 6",
    ]);
  });

  test("tell leases, room and what is left of VMs that have ended", async () => {
    const { lines } = metricsOf(() =>
      host([], {
        leases: [{ kind: "uid", used: 3, resting: 2, total: 100 }],
        remains: 4,
        freeBytes: [{ directory: "jails", bytes: 7 }],
        metricsLines: { taken: 5, refused: 6 },
      }),
    );
    assert.deepEqual(await matching(lines, /lease|remains|free|metrics_lines/), [
      'warder_leases_used{kind="uid"} 3',
      'warder_leases_resting{kind="uid"} 2',
      'warder_leases_limit{kind="uid"} 100',
      "warder_remains 4",
      'warder_free_bytes{directory="jails"} 7',
      'warder_firecracker_metrics_lines_total{result="taken"} 5',
      'warder_firecracker_metrics_lines_total{result="refused"} 6',
    ]);
  });

  test("are left out, and the failure counted, where the host can not be looked at", async () => {
    let isBroken = false;
    const { lines } = metricsOf(() => {
      if (isBroken) throw new WarderError("store-failed", { doing: "reading", why: "it is gone" });
      return host([vm("a")], { remains: 1 });
    });
    assert.notDeepEqual(await matching(lines, /warder_(vm|remains)/), []);
    isBroken = true;
    assert.deepEqual(await matching(lines, /^warder_(vms|vm_(cpu|memory|series)|remains|leases)/), []);
    assert.deepEqual(await matching(lines, /collect_failures/), ["warder_collect_failures_total 2"]);
  });

  test("claim nothing before anything was measured", async () => {
    const metrics = new Metrics({ version: "1", ownProcess: false });
    const lines = (await metrics.text())
      .split("\n")
      .filter((line) => /^warder_(vms|vm_memory|remains|leases)/.test(line));
    assert.deepEqual(lines, []);
  });
});

describe("metrics of single VMs", () => {
  test("are what was measured, in base units", async () => {
    const devices: VmMeasure["devices"] = {
      blockReadBytes: 1,
      blockWrittenBytes: 2,
      blockReads: 3,
      blockWrites: 4,
      networkReceivedBytes: 5,
      networkSentBytes: 6,
      networkReceivedPackets: 7,
      networkSentPackets: 8,
      seccompFaults: 9,
    };
    const measure = () => ({
      usage,
      devices,
      droppedBytes: { console: 11, log: 0, metrics: 0 },
    });
    const { lines } = metricsOf(() => host([vm("vm-1", { measure, memoryLimitBytes: 9999, isHealthy: false })]));
    assert.deepEqual(
      (await matching(lines, /vm_id="vm-1"/)).map((line) => line.replace('vm_id="vm-1"', "")),
      [
        "warder_vm_runs_total{} 4",
        "warder_vm_start_time_seconds{} 5",
        "warder_vm_healthy{} 0",
        "warder_vm_isolation_gaps{} 0",
        "warder_vm_memory_bytes{} 4096",
        "warder_vm_memory_peak_bytes{} 8192",
        "warder_vm_memory_limit_bytes{} 9999",
        "warder_vm_threads{} 3",
        "warder_vm_cpu_seconds_total{} 1.5",
        "warder_vm_cpu_throttled_seconds_total{} 0.25",
        "warder_vm_oom_kills_total{} 1",
        'warder_vm_io_bytes_total{,direction="read"} 10',
        'warder_vm_io_bytes_total{,direction="write"} 20',
        'warder_vm_block_bytes_total{,direction="read"} 1',
        'warder_vm_block_bytes_total{,direction="write"} 2',
        'warder_vm_block_operations_total{,direction="read"} 3',
        'warder_vm_block_operations_total{,direction="write"} 4',
        'warder_vm_network_bytes_total{,direction="receive"} 5',
        'warder_vm_network_bytes_total{,direction="transmit"} 6',
        'warder_vm_network_packets_total{,direction="receive"} 7',
        'warder_vm_network_packets_total{,direction="transmit"} 8',
        "warder_vm_seccomp_faults_total{} 9",
        'warder_vm_output_dropped_bytes_total{,stream="console"} 11',
        'warder_vm_output_dropped_bytes_total{,stream="log"} 0',
        'warder_vm_output_dropped_bytes_total{,stream="metrics"} 0',
      ],
    );
  });

  test("have no series for what is not known", async () => {
    const { lines } = metricsOf(() => host([vm("vm-1", { measure: () => ({ usage: {} }) })]));
    assert.deepEqual(await matching(lines, /vm_id=/), [
      'warder_vm_runs_total{vm_id="vm-1"} 4',
      'warder_vm_start_time_seconds{vm_id="vm-1"} 5',
      'warder_vm_isolation_gaps{vm_id="vm-1"} 0',
    ]);
  });

  test("go with their VM", async () => {
    let vms = [vm("vm-1"), vm("vm-2")];
    const { lines } = metricsOf(() => host(vms));
    assert.equal((await matching(lines, /warder_vm_memory_bytes/)).length, 2);
    vms = [vm("vm-1", { isLive: false, state: "exited" }), vm("vm-2")];
    assert.deepEqual(await matching(lines, /vm-1/), []);
    vms = [];
    assert.deepEqual(await matching(lines, /vm_id/), []);
  });

  test("stay bounded, whatever VMs come and go: the oldest are shown, the others counted", async () => {
    const population = fc.array(fc.record({ id: fc.nat(1000), isLive: fc.boolean() }), { maxLength: 60 });
    let vms: VmSample[] = [];
    const { lines } = metricsOf(() => host(vms), 7);
    await fc.assert(
      fc.asyncProperty(population, async (all) => {
        vms = all.map(({ id, isLive }) => vm(`vm-${id}`, { isLive, state: isLive ? "running" : "exited" }));
        const live = vms.filter(({ isLive }) => isLive).map(({ id }) => id);
        const seen = await lines();
        const ids = new Set(seen.flatMap((line) => /vm_id="([^"]+)"/.exec(line)?.[1] ?? []));
        assert.deepEqual(ids, new Set(live.slice(0, 7)));
        assert.ok(seen.includes(`warder_vm_series_omitted ${Math.max(0, live.length - 7)}`));
      }),
      { numRuns: 30 },
    );
  });

  test("leave out the one that can not be measured, and count that", async () => {
    const measure = () => {
      throw new WarderError("permission-denied", { doing: "reading", why: "EACCES" });
    };
    const { lines } = metricsOf(() => host([vm("vm-1", { measure }), vm("vm-2")]));
    assert.deepEqual(await matching(lines, /warder_vm_memory_bytes|omitted/), [
      "warder_vm_series_omitted 1",
      'warder_vm_memory_bytes{vm_id="vm-2"} 4096',
    ]);
    assert.deepEqual(await matching(lines, /collect_failures|permission/), [
      'warder_failures_total{code="permission-denied"} 2',
      "warder_collect_failures_total 2",
    ]);
  });

  test("let other work have its turn while many are measured", async () => {
    const turns: string[] = [];
    const vms = Array.from({ length: 20 }, (_, index) =>
      vm(`vm-${index}`, {
        measure: () => {
          turns.push("measure");
          return { usage: {} };
        },
      }),
    );
    const { lines } = metricsOf(() => host(vms), 20);
    const done = lines();
    const other = () => {
      turns.push("other");
      if (turns.filter((turn) => turn === "measure").length < 20) setImmediate(other);
    };
    setImmediate(other);
    await done;
    assert.ok(turns.indexOf("other") < turns.lastIndexOf("measure"), turns.join(" "));
  });
});

describe("the text of the metrics", () => {
  test("is made once for all who ask within a second", async () => {
    let samples = 0;
    const { metrics, clock } = metricsOf(() => {
      samples++;
      return host([]);
    });
    const texts = await Promise.all([metrics.text(), metrics.text(), metrics.text()]);
    clock.ms = 999;
    await metrics.text();
    assert.equal(samples, 1);
    assert.equal(new Set(texts).size, 1);
    clock.ms = 1_000;
    await metrics.text();
    assert.equal(samples, 2);
  });

  test("names versions, and this process's own metrics where they are wanted", async () => {
    const metrics = new Metrics({ version: "1.2.3" });
    const text = await metrics.text();
    assert.match(text, /^warder_build_info\{version="1\.2\.3",node="\d+\.\d+\.\d+"\} 1$/m);
    assert.match(text, /^process_resident_memory_bytes \d+$/m);
    assert.equal(metrics.contentType, "text/plain; version=0.0.4; charset=utf-8");
  });
});

describe("a label that is not of a closed set", () => {
  test("takes the first values, and calls the rest other", () => {
    const label = new BoundedLabel(2);
    assert.deepEqual(
      ["a", "limit.memory", "c", "a"].map((value) => label.of(value)),
      ["a", "limit.memory", OTHER, "a"],
    );
  });

  test("never has more values than it may, whatever comes", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (values) => {
        const label = new BoundedLabel(3);
        const seen = new Set(values.map((value) => label.of(value)));
        seen.delete(OTHER);
        assert.ok(seen.size <= 3);
        for (const value of seen) assert.match(value, /^[A-Za-z][A-Za-z0-9._-]*$/);
      }),
    );
  });
});
