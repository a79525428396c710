import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { requires } from "../support/capability.ts";
import { realBinaries } from "../support/capability-probes.ts";
import { until } from "../support/conformance/until.ts";
import { startCollector } from "../support/otlp-collector.ts";
import { guest } from "../support/warder-fixture.ts";

const WARDER = join(import.meta.dirname, "../../bin/warder");
const run = promisify(execFile);
const TRACE = "0af7651916cd43dd8448eb211c80319c";

/** `warder serve` in a process of its own, on ports that were free. */
interface Served extends AsyncDisposable {
  readonly url: string;
  readonly metricsUrl: string;
  readonly lines: readonly Record<string, unknown>[];
}

async function serve(settings: Record<string, string>): Promise<Served> {
  const directory = fs.mkdtempSync("/var/tmp/warder-served-");
  const name = `warder-served-${process.pid}-${Date.now()}`;
  const { firecracker = "", jailer = "" } = realBinaries() ?? {};
  const child = spawn(WARDER, ["serve"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      WARDER_ALLOW_TEST_BINARIES: "1",
      WARDER_FIRECRACKER: firecracker,
      WARDER_JAILER: jailer,
      WARDER_STATE_DIR: `${directory}/state`,
      WARDER_CHROOT_BASE: `${directory}/jails`,
      WARDER_PARENT_CGROUP: name,
      WARDER_SERVER_PORT: "0",
      WARDER_SERVER_SOCKET: `${directory}/warder.sock`,
      WARDER_METRICS_PORT: "0",
      WARDER_SHUTDOWN_VMS: "stop",
      ...settings,
    },
  });
  const lines: Record<string, unknown>[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => void lines.push(JSON.parse(line)));
  try {
    const ready = await until("a daemon that serves", () => lines.find(({ msg }) => msg === "warder serves"));
    const urls = (ready.addresses as string[]).filter((address) => address.startsWith("http"));
    const [url = "", metricsUrl = url] = urls;
    return { url, metricsUrl, lines, [Symbol.asyncDispose]: () => end(child, directory, name) };
  } catch (error) {
    await end(child, directory, name);
    throw error;
  }
}

async function end(child: ChildProcess, directory: string, cgroup: string): Promise<void> {
  if (child.exitCode === null) {
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  fs.rmSync(directory, { recursive: true, force: true });
  for (const top of fs.readdirSync("/sys/fs/cgroup")) {
    for (const path of [`/sys/fs/cgroup/${top}/${cgroup}`, `/sys/fs/cgroup/${cgroup}`]) {
      if (fs.existsSync(path)) fs.rmdirSync(path);
    }
  }
}

/** As an operator would: curl, which nobody here wrote. */
async function curl(...args: string[]): Promise<{ status: number; body: string }> {
  const { stdout } = await run("curl", ["-s", "-w", "\n%{http_code}", ...args]);
  const cut = stdout.lastIndexOf("\n");
  return { status: Number(stdout.slice(cut + 1)), body: stdout.slice(0, cut) };
}

describe("a daemon that is observed from outside", requires("root", "kvm", "real-binaries"), () => {
  test("tells of one request in its answer, log, metrics and traces", async () => {
    await using collector = await startCollector();
    await using served = await serve({ WARDER_TRACING_ENABLED: "true", WARDER_TRACING_ENDPOINT: collector.endpoint });
    const call = (method: string, body: object, ...more: string[]) =>
      curl(...more, "-d", JSON.stringify(body), `${served.url}/vmprovisioner.v1.VmService/${method}`);
    const config = {
      cpu: { vcpu_count: 1 },
      memory: { size_bytes: 134_217_728 },
      boot: { kernel_path: guest("idle") },
      storage: [{ path: guest("hello"), is_root_device: true, read_only: true }],
    };
    const made = await call("CreateVm", { vm_id: "vm-observed", config });
    assert.equal(made.status, 200, made.body);
    const booted = await call(
      "BootVm",
      { vm_id: "vm-observed" },
      ...["-H", "x-request-id: boot-1", "-H", `traceparent: 00-${TRACE}-b7ad6b7169203331-01`],
    );
    assert.equal(booted.status, 200, booted.body);

    const launched = await until("the line of the launch", () =>
      served.lines.find(({ msg }) => msg === "creating jailer command"),
    );
    assert.deepEqual(
      [launched.request_id, launched.vm_id, launched.jailer_id, launched.trace_id],
      ["boot-1", "vm-observed", "vm-observed", TRACE],
    );

    const metrics = await curl(served.metricsUrl);
    assert.equal(metrics.status, 200);
    assert.match(
      metrics.body,
      /^warder_rpc_requests_total\{service="vmprovisioner\.v1\.VmService",method="BootVm",code="ok"\} 1$/m,
    );
    assert.match(metrics.body, /^warder_vm_memory_bytes\{vm_id="vm-observed"\} [1-9]\d*$/m);
    assert.match(metrics.body, /^warder_vms\{state="running"\} 1$/m);

    await until("the spans of the request", () => collector.spans.some(({ name }) => name.endsWith("/BootVm")));
    const ours = collector.spans.filter(({ traceId }) => traceId === TRACE);
    const request = ours.find(({ name }) => name === "vmprovisioner.v1.VmService/BootVm");
    const operation = ours.find(({ parentSpanId }) => parentSpanId === request?.spanId);
    assert.equal(request?.parentSpanId, "b7ad6b7169203331");
    assert.match(operation?.name ?? "", /^warder (start|run)$/);
    assert.ok(ours.some(({ name, parentSpanId }) => name === "launch" && parentSpanId === operation?.spanId));
  });

  test("says that it lives, is ready, and is well", async () => {
    await using served = await serve({});
    assert.deepEqual(JSON.parse((await curl(`${served.url}/health`)).body), { status: "ok" });
    assert.equal((await curl(`${served.url}/ready`)).status, 200);
    const full = await curl(`${served.url}/_/health`);
    const report = JSON.parse(full.body);
    assert.deepEqual(
      [full.status, report.status, report.backend],
      [200, "healthy", { type: "firecracker", status: "healthy" }],
    );
    assert.deepEqual(report.vms, { running: 0, unhealthy: 0 });
    const asked = await curl(
      "-H",
      "content-type: application/json",
      "-d",
      "{}",
      `${served.url}/grpc.health.v1.Health/Check`,
    );
    assert.equal(JSON.parse(asked.body).status, "SERVING", asked.body);
  });

  test("logs a caller's mistake once, with its code and the request's id, and no secret of it", async () => {
    await using served = await serve({ WARDER_LOG_LEVEL: "debug" });
    const refused = await curl(
      ...[
        "-H",
        "x-request-id: wrong-1",
        "-H",
        "authorization: Bearer s3cret-of-mine-12345",
        "-d",
        '{"vm_id":"no-such-vm"}',
      ],
      `${served.url}/vmprovisioner.v1.VmService/BootVm`,
    );
    assert.ok(refused.status >= 400, refused.body);
    const failures = await until("the failure in the log", () => {
      const found = served.lines.filter(({ request_id, level }) => request_id === "wrong-1" && level !== "debug");
      return found.length > 0 && found;
    });
    assert.equal(failures.length, 1);
    assert.equal(typeof failures[0]?.code, "string");
    assert.ok(!JSON.stringify(served.lines).includes("s3cret-of-mine"));
  });
});
