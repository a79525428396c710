import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createEndpoints } from "./endpoints.ts";
import { fullReport, goDuration } from "./health/full-report.ts";
import type { HostHealth } from "./health/host-health.ts";
import { Serving } from "./health/serving.ts";
import { Metrics } from "./metrics/metrics.ts";

const AT = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const ok = { isOk: true, durationMs: 1.23456, at: AT };
const healthy: HostHealth = {
  status: "healthy",
  at: AT,
  looks: { backend_ping: ok, system_info: ok },
  system: { hostname: "h1", cores: 4, cpuModel: "CPU", memory: { totalBytes: 4000, availableBytes: 3000 } },
};
const broken: HostHealth = {
  status: "unhealthy",
  at: AT,
  looks: { backend_ping: { isOk: false, problem: "there is no device /dev/kvm", durationMs: 1, at: AT } },
  system: { cores: 1 },
};
const facts = { version: "1.2.3", uptimeMs: 61_500, architecture: "x64", vms: { running: 2, unhealthy: 1 } };

function endpointsOf(lookAtHost: () => Promise<HostHealth> = async () => healthy) {
  const serving = new Serving([]);
  const clock = { ms: 0 };
  const metrics = new Metrics({ version: "1", ownProcess: false });
  const endpoints = createEndpoints({ serving, metrics, lookAtHost, facts: () => facts, now: () => clock.ms });
  const get = async (path: string) => {
    const answer = await endpoints[path]?.();
    return { status: answer?.status, headers: answer?.headers, body: answer?.body ?? "" };
  };
  return { serving, clock, get };
}

describe("the endpoints", () => {
  test("/health says that the daemon lives, as metald does", async () => {
    const { status, headers, body } = await endpointsOf().get("/health");
    assert.deepEqual([status, body], [200, '{"status":"ok"}\n']);
    assert.equal(headers?.["content-type"], "application/json");
  });

  test("/ready says whether it takes calls", async () => {
    const { serving, get } = endpointsOf();
    const answers: unknown[] = [];
    for (const state of ["starting", "ready", "draining"] as const) {
      serving.set(state);
      const { status, body } = await get("/ready");
      answers.push([status, JSON.parse(body)]);
    }
    assert.deepEqual(answers, [
      [503, { status: "starting" }],
      [200, { status: "ready" }],
      [503, { status: "draining" }],
    ]);
  });

  test("/_/health is the full report, in metald's shape, never cached", async () => {
    const { status, headers, body } = await endpointsOf().get("/_/health");
    assert.equal(status, 200);
    assert.deepEqual(headers, {
      "content-type": "application/json",
      "cache-control": "no-cache, no-store, must-revalidate",
    });
    assert.deepEqual(JSON.parse(body), {
      status: "healthy",
      timestamp: "2026-01-02T03:04:05.678Z",
      version: "1.2.3",
      backend: { type: "firecracker", status: "healthy" },
      system: {
        hostname: "h1",
        cpu: { architecture: "amd64", cores: 4, model: "CPU" },
        memory: { total_bytes: 4000, used_bytes: 1000, available_bytes: 3000, used_percent: 25 },
        uptime: "1m1.5s",
      },
      checks: {
        backend_ping: { status: "healthy", duration_ms: 1.235, timestamp: "2026-01-02T03:04:05.678Z" },
        system_info: { status: "healthy", duration_ms: 1.235, timestamp: "2026-01-02T03:04:05.678Z" },
      },
      vms: { running: 2, unhealthy: 1 },
    });
  });

  test("/_/health is 503 unless all is well, and says why", async () => {
    const unwell = await endpointsOf(async () => broken).get("/_/health");
    assert.equal(unwell.status, 503);
    const report = JSON.parse(unwell.body);
    assert.deepEqual(report.backend, {
      type: "firecracker",
      status: "unhealthy",
      error: "there is no device /dev/kvm",
    });
    assert.equal(report.checks.backend_ping.error, "there is no device /dev/kvm");
    assert.deepEqual([report.system.hostname, report.system.memory.used_percent], ["unknown", 0]);
    const degraded = await endpointsOf(async () => ({ ...healthy, status: "degraded" as const })).get("/_/health");
    assert.equal(degraded.status, 503);
  });

  test("/_/health looks at the host once for all who ask within a second", async () => {
    let looks = 0;
    const { clock, get } = endpointsOf(async () => {
      looks++;
      return healthy;
    });
    await Promise.all([get("/_/health"), get("/_/health")]);
    clock.ms = 999;
    await get("/_/health");
    assert.equal(looks, 1);
    clock.ms = 1_000;
    await get("/_/health");
    assert.equal(looks, 2);
  });

  test("/metrics is Prometheus' text, and not there where metrics are not served", async () => {
    const { status, headers, body } = await endpointsOf().get("/metrics");
    assert.deepEqual([status, headers?.["content-type"]], [200, "text/plain; version=0.0.4; charset=utf-8"]);
    assert.match(body, /^warder_build_info/m);
    const without = createEndpoints({ serving: new Serving([]), lookAtHost: async () => healthy, facts: () => facts });
    assert.deepEqual(Object.keys(without), ["/health", "/ready", "/_/health"]);
  });
});

test("a duration is written as Go writes it", () => {
  const texts = [0, 1, 1_500, 60_000, 61_001, 3_600_000, 90_061_250].map(goDuration);
  assert.deepEqual(texts, ["0s", "0.001s", "1.5s", "1m0s", "1m1.001s", "1h0m0s", "25h1m1.25s"]);
});

test("an architecture that Go names as Node does keeps its name", () => {
  const report = fullReport(healthy, { ...facts, architecture: "arm64" }) as {
    system: { cpu: { architecture: string } };
  };
  assert.equal(report.system.cpu.architecture, "arm64");
});
