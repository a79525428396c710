import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { hostSource } from "../../src/lifecycle/sample.ts";
import { startSteps } from "../../src/lifecycle/start.ts";
import { Metrics } from "../../src/observability/metrics/metrics.ts";
import { type Observability, openObservability } from "../../src/observability/observability.ts";
import { isWarderError } from "../../src/vm/error.ts";
import { requires } from "../support/capability.ts";
import { until } from "../support/conformance/until.ts";
import { freeze } from "../support/frozen.ts";
import { type Collector, startCollector } from "../support/otlp-collector.ts";
import { guest, openFixture, type WarderFixture } from "../support/warder-fixture.ts";

/** A manager that logs, counts and traces, and what comes of it. */
interface Observed extends AsyncDisposable {
  readonly fixture: WarderFixture;
  readonly observability: Observability;
  readonly collector: Collector;
  /** Lines of metrics now, comments left out, that have this pattern in them. */
  series(pattern: RegExp): Promise<string[]>;
  /** Lets everything be written, and reads the log. */
  finish(): Promise<Record<string, unknown>[]>;
}

async function observe(): Promise<Observed> {
  const directory = fs.mkdtempSync(join(tmpdir(), "warder-observed-"));
  const file = join(directory, "log");
  const collector = await startCollector();
  const observability = await openObservability({
    version: "1.2.3",
    log: { level: "info", target: { file } },
    tracing: { endpoint: collector.endpoint, serviceName: "warder", serviceVersion: "1.2.3", samplingRatio: 1 },
  });
  const { logger, observer, metrics } = observability;
  const fixture = await openFixture({ reporter: logger, observer });
  metrics.measure(hostSource(fixture.warder.machinery));
  return {
    fixture,
    observability,
    collector,
    async series(pattern) {
      const text = await metrics.text();
      return text.split("\n").filter((line) => !line.startsWith("#") && pattern.test(line));
    },
    async finish() {
      await observability[Symbol.asyncDispose]();
      const lines = fs
        .readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line !== "");
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    },
    async [Symbol.asyncDispose]() {
      await fixture[Symbol.asyncDispose]();
      await observability[Symbol.asyncDispose]();
      await collector[Symbol.asyncDispose]();
      fs.rmSync(directory, { recursive: true });
    },
  };
}

const needs = requires("root", "kvm", "real-binaries");

describe("the log of a manager", needs, () => {
  test("has the line that operators of metald know when a jailer is started, with its fields and their types", async () => {
    await using observed = await observe();
    const { fixture } = observed;
    const limits = { memoryBytes: 134_217_728, cpuPercent: 100 };
    const vm = await fixture.warder.run({ id: "vm-1645123456789", kernel: guest("idle"), memoryMib: 128, limits });
    const { uid, gid } = vm.record;
    const lines = await observed.finish();
    const [line] = lines.filter(({ msg }) => msg === "creating jailer command");
    const { time: _time, trace_id: _trace, span_id: _span, ...rest } = line ?? {};
    assert.deepEqual(rest, {
      level: "info",
      msg: "creating jailer command",
      vm_id: "vm-1645123456789",
      jailer_binary: fixture.options.jailer,
      jailer_id: "vm-1645123456789",
      chroot_path: `${fixture.options.chrootBase}/vm-1645123456789`,
      uid,
      gid,
      memory_limit: 134_217_728,
      cpu_quota: 100,
    });
    assert.ok(fs.statSync(String(rest.chroot_path)).isDirectory());
  });

  test("has numbers where there is no limit, and another line without a jailer", async () => {
    await using observed = await observe();
    const { warder } = observed.fixture;
    const unlimited = await warder.run({ kernel: guest("idle"), limits: {} });
    const bare = await warder.run({ kernel: guest("idle"), jailed: false, policy: "degrade" });
    const { limits } = unlimited.record.spec;
    const { layout, binaries } = bare.record;
    const lines = await observed.finish();
    const jailed = lines.find(({ msg }) => msg === "creating jailer command");
    assert.deepEqual([jailed?.memory_limit, jailed?.cpu_quota], [limits.memoryBytes ?? 0, limits.cpuPercent ?? 0]);
    const unjailed = lines.find(({ msg }) => msg === "creating firecracker command");
    assert.deepEqual(
      [unjailed?.vm_id, unjailed?.firecracker_binary, unjailed?.socket_path],
      [bare.id, binaries.firecracker, layout.socket],
    );
  });

  test("says how a VM ended, and that it is not isolated as asked, with its id", async () => {
    await using observed = await observe();
    const vm = await observed.fixture.warder.run({ kernel: guest("hello"), jailed: false, policy: "degrade" });
    await vm.wait();
    const lines = await observed.finish();
    const [ended] = lines.filter(({ msg }) => msg === "VM ended");
    assert.deepEqual([ended?.level, ended?.vm_id, ended?.cause], ["info", vm.id, "guest-ended"]);
    assert.equal(ended?.trace_id, undefined, "an end belongs to no call");
  });

  test("jailed or not, Firecracker's own log is kept at the same place, and says which VM it is", async () => {
    await using fixture = await openFixture();
    for (const spec of [{}, { jailed: false, policy: "degrade" as const }]) {
      const vm = await fixture.warder.run({ kernel: guest("idle"), ...spec });
      const file = `${fixture.options.stateDir}/vms/${vm.id}/log`;
      const read = () => (fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "");
      await until("Firecracker's first line", () => read().includes("\n"));
      assert.match(read(), new RegExp(`^\\S+ \\[${vm.id}:\\w+\\] `));
    }
  });
});

describe("the metrics of a manager", needs, () => {
  test("tell of a real VM what its cgroup and its record say, as long as it is there", async () => {
    await using observed = await observe();
    const { warder } = observed.fixture;
    const vm = await warder.run({
      kernel: guest("idle"),
      memoryMib: 128,
      vcpus: 2,
      limits: { memoryBytes: 134_217_728 },
    });
    const series = await observed.series(/^warder_/);
    for (const line of [
      'warder_operations_total{operation="run",code="ok"} 1',
      'warder_vms{state="running"} 1',
      'warder_vms_isolation{level="proven"} 1',
      'warder_isolation_judgements_total{level="proven"} 1',
      "warder_vms_memory_bytes 134217728",
      "warder_vms_vcpus 2",
      "warder_remains 0",
      'warder_leases_used{kind="uid"} 1',
      `warder_vm_memory_limit_bytes{vm_id="${vm.id}"} 134217728`,
      `warder_vm_isolation_gaps{vm_id="${vm.id}"} 0`,
      `warder_vm_block_bytes_total{vm_id="${vm.id}",direction="read"} 0`,
      `warder_vm_output_dropped_bytes_total{vm_id="${vm.id}",stream="console"} 0`,
    ]) {
      assert.ok(series.includes(line), `${line} is not in\n${series.join("\n")}`);
    }
    for (const { name } of startSteps) {
      assert.ok(series.includes(`warder_start_step_duration_seconds_count{step="${name}"} 1`), name);
    }
    await vm.kill();
    await until("series without the VM", async () => (await observed.series(new RegExp(vm.id))).length === 0);
    assert.deepEqual(
      await observed.series(/^warder_(vm_exits_total.* [1-9]|leases_used\{kind="uid"|operations_total)/),
      [
        'warder_operations_total{operation="run",code="ok"} 1',
        'warder_operations_total{operation="kill",code="ok"} 1',
        'warder_vm_exits_total{cause="killed"} 1',
        'warder_leases_used{kind="uid"} 0',
      ],
    );
  });

  test("have the numbers of the VM's cgroup", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({ kernel: guest("idle") });
    const { cgroup, process: identity } = vm.record;
    const file = cgroup?.version === 2 ? "memory.current" : "memory.usage_in_bytes";
    const read = () => fs.readFileSync(`${cgroup?.directories.memory}/${file}`, "utf8").trim();
    using _frozen = await freeze(identity?.pid ?? 0);
    // The kernel settles what it has charged ahead for each CPU a little later.
    const { memory, text } = await until("memory that stands still", async () => {
      const metrics = new Metrics({ version: "1", ownProcess: false });
      metrics.measure(hostSource(fixture.warder.machinery));
      const [before, measured] = [read(), await metrics.text()];
      return before === read() && { memory: before, text: measured };
    });
    assert.ok(text.includes(`\nwarder_vm_memory_bytes{vm_id="${vm.id}"} ${memory}\n`), text);
  });

  test("have the lines of metrics that a real Firecracker writes", async () => {
    await using observed = await observe();
    const { warder } = observed.fixture;
    const vm = await warder.run({ kernel: guest("idle") });
    const { host } = warder.machinery;
    await host.sockets.http(vm.record.layout.socket).request({
      method: "PUT",
      path: "/actions",
      body: { action_type: "FlushMetrics" },
      timeoutMs: 5_000,
    });
    await until("a line of metrics", async () => {
      const [line] = await observed.series(/^warder_firecracker_metrics_lines_total\{result="taken"\}/);
      return line !== undefined && !line.endsWith(" 0");
    });
    const [refused] = await observed.series(/lines_total\{result="refused"\}/);
    assert.equal(refused, 'warder_firecracker_metrics_lines_total{result="refused"} 0');
  });

  test("count a start that fails by its code and step", async () => {
    await using observed = await observe();
    const missing = observed.fixture.warder.run({ kernel: "/nowhere/vmlinux" });
    await assert.rejects(missing, (error) => isWarderError(error) && error.code === "asset-missing");
    const broken = observed.fixture.warder.run(
      { kernel: guest("idle"), startTimeoutMs: 100, memoryMib: 128, bootArgs: "" },
      {
        signal: AbortSignal.timeout(1),
      },
    );
    await assert.rejects(broken);
    const operations = await observed.series(/^warder_operations_total/);
    assert.ok(
      operations.includes('warder_operations_total{operation="run",code="asset-missing"} 1'),
      operations.join("\n"),
    );
    assert.equal((await observed.series(/^warder_vm_memory_bytes/)).length, 0);
  });

  test("are what Prometheus' own checker accepts", requires("promtool"), async () => {
    await using observed = await observe();
    await observed.fixture.warder.run({ kernel: guest("idle") });
    const input = await observed.observability.metrics.text();
    // The names that are refused are of the client library's own: they have stood so for years.
    const own = input
      .split(/^(?=# HELP )/m)
      .filter((block) => block.startsWith("# HELP warder_"))
      .join("");
    execFileSync("promtool", ["check", "metrics"], { input: own });
  });
});

describe("the traces of a manager", needs, () => {
  test("have one span for each step of a start, under one for the operation", async () => {
    await using observed = await observe();
    const vm = await observed.fixture.warder.run({ kernel: guest("idle") });
    await observed.finish();
    const { spans } = observed.collector;
    const operation = spans.find(({ name }) => name === "warder run");
    const steps = spans.filter(({ parentSpanId }) => parentSpanId === operation?.spanId);
    assert.deepEqual(
      steps.map(({ name }) => name),
      startSteps.map(({ name }) => name),
    );
    for (const span of spans) {
      assert.equal(span.traceId, operation?.traceId);
      assert.equal(span.attributes["warder.vm.id"], vm.id);
    }
    const launched = steps.find(({ name }) => name === "launch");
    assert.ok(launched !== undefined && operation !== undefined);
    assert.ok(launched.beginNs >= operation.beginNs && launched.endNs <= operation.endNs);
  });

  test("have a span for each step that is taken back, and say where it failed", async () => {
    await using observed = await observe();
    const { warder } = observed.fixture;
    const broken = {
      name: "break",
      run() {
        throw new TypeError("broken");
      },
    };
    const launched = startSteps.slice(0, startSteps.findIndex(({ name }) => name === "launch") + 1);
    await assert.rejects(warder.run({ kernel: guest("idle") }, { steps: [...launched, broken] }), /broken/);
    const failures = await observed.series(/^warder_start_step_failures_total/);
    assert.deepEqual(failures, ['warder_start_step_failures_total{step="break",phase="run"} 1']);
    await observed.finish();
    const names = (isFailed: boolean) =>
      observed.collector.spans.filter(({ error }) => error === isFailed).map(({ name }) => name);
    assert.deepEqual(names(true), ["break", "warder run"]);
    const undone = launched.filter(({ undo }) => undo !== undefined).map(({ name }) => `undo ${name}`);
    assert.deepEqual(names(false), [...launched.map(({ name }) => name), ...undone.toReversed()]);
  });
});
