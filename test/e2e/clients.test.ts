/** Clients that nobody here wrote, against a real daemon: what they make of its answers, errors and streams. */
import assert from "node:assert/strict";
import { type ExecFileException, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { ErrorInfoSchema } from "../../gen/warder/v1/error_pb.js";
import { afterwards } from "../support/afterwards.ts";
import { requires } from "../support/capability.ts";
import { grpcurlBinary, testPython } from "../support/capability-probes.ts";
import { until } from "../support/conformance/until.ts";
import { DaemonProcess } from "../support/rpc/daemon-process.ts";
import { makeBed } from "../support/warder-fixture.ts";

const root = join(import.meta.dirname, "../..");
const protos = join(root, "proto");
const buf = join(root, "node_modules/.bin/buf");
const tick = join(root, "guests/tick.elf");
const needed = ["root", "kvm", "real-binaries"] as const;
const METALD = "vmprovisioner.v1.VmService";
const WARDER = "warder.v1.VmService";

/** What a program came to. */
interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever that is. */
function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 120_000, env }, (error: ExecFileException | null, stdout, stderr) =>
      resolve({ status: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
    );
  });
}

/** Runs a program that would go on for ever, until its output has what is wanted. */
async function runUntil(
  context: TestContext,
  program: string,
  args: readonly string[],
  wanted: RegExp,
): Promise<string> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "exit");
  context.after(() => child.kill("SIGKILL"));
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  await until(`${program} to print ${wanted}`, () => {
    assert.equal(child.exitCode, null, output);
    return wanted.test(output);
  });
  child.kill("SIGKILL");
  await ended;
  return output;
}

async function serve(context: TestContext) {
  const bed = afterwards(context).use(makeBed());
  const directory = fs.mkdtempSync("/var/tmp/warder-clients-");
  afterwards(context).defer(() => fs.rmSync(directory, { recursive: true, force: true }));
  const disk = join(directory, "disk.img");
  fs.writeFileSync(disk, Buffer.alloc(1024 * 1024));
  const daemon = afterwards(context).use(await DaemonProcess.start(bed));
  const config = {
    cpu: { vcpu_count: 1 },
    memory: { size_bytes: 134_217_728 },
    boot: { kernel_path: tick },
    storage: [{ path: disk, is_root_device: true }],
  };
  return { daemon, directory, disk, config, port: new URL(daemon.url).port };
}

/** The descriptors of every .proto file, as other languages' tools take them. */
async function descriptors(directory: string): Promise<string> {
  const set = join(directory, "set.binpb");
  const { status, stderr } = await run(buf, ["build", protos, "--as-file-descriptor-set", "-o", set]);
  assert.equal(status, 0, stderr);
  return set;
}

describe("curl", requires(...needed, "curl"), () => {
  /** The command as metald's documents print it; the port is the test's, and the dots are filled in. */
  const printed = `curl -X POST http://localhost:8080/vmprovisioner.v1.VmService/CreateVm \\
     -d '{"config":{...}}'`;

  test("does what metald's documents have it do, to the letter", async (context) => {
    const { port, config } = await serve(context);
    const command = printed.replace("8080", port).replace("{...}", JSON.stringify(config));
    const { status, stdout, stderr } = await run("sh", ["-c", command]);
    assert.equal(status, 0, stderr);
    const { vmId, state } = JSON.parse(stdout) as { vmId: string; state: string };
    assert.match(vmId, /^vm-\d+$/);
    assert.equal(state, "VM_STATE_CREATED");
  });

  test("finds the same daemon at its Unix socket, and is told all that is wrong with a request", async (context) => {
    const { daemon } = await serve(context);
    const url = `http://localhost/${METALD}/CreateVm`;
    const args = ["-s", "-w", "\n%{http_code}", "--unix-socket", daemon.socket, url, "-d", '{"config":{"cpu":{}}}'];
    const [body = "", status] = (await run("curl", args)).stdout.split("\n");
    assert.equal(status, "400");
    const error = JSON.parse(body) as { code: string; details: { type: string; debug?: { fields: unknown[] } }[] };
    assert.equal(error.code, "invalid_argument");
    assert.equal(error.details[0]?.type, "warder.v1.ErrorInfo");
    assert.ok((error.details[0]?.debug?.fields.length ?? 0) > 1, body);
  });
});

/** What buf can speak, over what. */
const spoken = [
  { protocol: "connect", over: "HTTP/1.1", flags: [] },
  { protocol: "connect", over: "h2c", flags: ["--http2-prior-knowledge"] },
  { protocol: "grpc", over: "h2c", flags: ["--http2-prior-knowledge"] },
  { protocol: "grpcweb", over: "HTTP/1.1", flags: [] },
  { protocol: "grpcweb", over: "h2c", flags: ["--http2-prior-knowledge"] },
];

describe("buf curl", requires(...needed), () => {
  for (const { protocol, over, flags } of spoken) {
    test(`${protocol} over ${over}: calls, errors, streams, health`, async (context) => {
      const { daemon, config } = await serve(context);
      const args = (call: string, data: object) => [
        ...["curl", "--schema", protos, "--protocol", protocol, ...flags],
        ...["-d", JSON.stringify(data), `${daemon.url}/${call}`],
      ];
      const ask = async (call: string, data: object) => {
        const { status, stdout, stderr } = await run(buf, args(call, data));
        assert.equal(status, 0, `${call}: ${stderr}`);
        return JSON.parse(stdout) as Record<string, unknown>;
      };
      assert.equal((await ask(`${METALD}/CreateVm`, { vm_id: "buf", config })).state, "VM_STATE_CREATED");
      assert.equal((await ask(`${METALD}/BootVm`, { vm_id: "buf" })).state, "VM_STATE_RUNNING");
      const output = args(`${WARDER}/StreamOutput`, { id: "buf", kind: "OUTPUT_KIND_CONSOLE", follow: true });
      // A message's bytes as JSON has them: "tick\n" begins with dGlja, or with one of its other two alignments.
      await runUntil(context, buf, output, /dGlja|RpY2|0aWNr/);
      const changes = await runUntil(context, buf, args(`${WARDER}/WatchVms`, { since: 0 }), /VM_STATE_RUNNING/);
      assert.match(changes, /VM_STATE_CREATED/);
      const { status, stderr } = await run(buf, args(`${METALD}/GetVmInfo`, { vm_id: "absent" }));
      assert.notEqual(status, 0);
      const { code, details } = JSON.parse(stderr) as { code: string; details: { value: string }[] };
      assert.equal(code, "not_found");
      const info = fromBinary(ErrorInfoSchema, Buffer.from(details[0]?.value ?? "", "base64"));
      assert.deepEqual([info.code, info.cure], ["vm-not-found", "See `warder ps -a`"]);
      const service = { service: WARDER };
      assert.equal((await ask("grpc.health.v1.Health/Check", service)).status, "SERVING");
      await ask(`${WARDER}/RemoveVm`, { id: "buf", force: true });
      assert.deepEqual(await ask(`${METALD}/ListVms`, {}), {});
    });
  }
});

describe("grpcurl", requires(...needed, "grpcurl"), () => {
  test("calls, errors, streams, health, over TCP and the Unix socket", async (context) => {
    const { daemon, directory, config, port } = await serve(context);
    const program = grpcurlBinary() ?? assert.fail("it was there before");
    const set = await descriptors(directory);
    const args = (call: string, data: object, where: readonly string[]) => [
      ...["-plaintext", "-protoset", set, "-format-error", "-d", JSON.stringify(data), ...where, call],
    ];
    const tcp = [`localhost:${port}`];
    const ask = async (call: string, data: object, where: readonly string[] = tcp) => {
      const { status, stdout, stderr } = await run(program, args(call, data, where));
      assert.equal(status, 0, `${call}: ${stderr}`);
      return JSON.parse(stdout) as Record<string, unknown>;
    };
    assert.equal((await ask(`${METALD}/CreateVm`, { vm_id: "grpcurl", config })).state, "VM_STATE_CREATED");
    const socket = ["-authority", "localhost", `unix://${daemon.socket}`];
    assert.equal((await ask(`${METALD}/BootVm`, { vm_id: "grpcurl" }, socket)).state, "VM_STATE_RUNNING");
    const output = { id: "grpcurl", kind: "OUTPUT_KIND_CONSOLE", follow: true };
    await runUntil(context, program, args(`${WARDER}/StreamOutput`, output, tcp), /dGlja|RpY2|0aWNr/);
    await runUntil(context, program, args(`${WARDER}/WatchVms`, { since: 0 }, tcp), /VM_STATE_RUNNING/);
    const { status, stderr } = await run(program, args(`${METALD}/GetVmInfo`, { vm_id: "absent" }, tcp));
    // grpcurl's status is 64 and the code of gRPC: 5 is NotFound.
    assert.equal(status, 64 + 5);
    assert.match(stderr, /vm-not-found/);
    assert.equal((await ask("grpc.health.v1.Health/Check", { service: METALD })).status, "SERVING");
  });
});

describe("a client that gRPC's generator for Python made", requires(...needed, "python-grpc"), () => {
  test("calls, errors with their details, streams, deadlines, health", async (context) => {
    const { directory, disk, port } = await serve(context);
    const set = await descriptors(directory);
    const stubs = join(directory, "stubs");
    fs.mkdirSync(stubs);
    const script = join(root, "test/support/rpc/grpc_client.py");
    const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
    const outcome = await run(testPython(), [script, set, stubs, `localhost:${port}`, tick, disk], env);
    assert.equal(outcome.status, 0, outcome.stderr);
    const { absent, wrong, console: text, ...seen } = JSON.parse(outcome.stdout) as PythonSaw;
    assert.deepEqual(seen, {
      states: ["VM_STATE_CREATED", "VM_STATE_RUNNING", "VM_STATE_RUNNING"],
      changes: ["VM_STATE_CREATED", "VM_STATE_STARTING", "VM_STATE_RUNNING", "VM_STATE_PAUSED"],
      deadline: "DEADLINE_EXCEEDED",
      left: 0,
      health: ["0801", "0801"],
    });
    assert.match(text, /tick/);
    assert.deepEqual([absent.code, absent.details[0]?.code], ["NOT_FOUND", "vm-not-found"]);
    assert.equal(wrong.code, "INVALID_ARGUMENT");
    assert.ok((wrong.details[0]?.fields?.length ?? 0) > 1);
  });
});

/** What test/support/rpc/grpc_client.py prints. */
interface PythonSaw {
  readonly console: string;
  readonly absent: PythonError;
  readonly wrong: PythonError;
}

interface PythonError {
  readonly code: string;
  readonly details: readonly { readonly code?: string; readonly fields?: readonly unknown[] }[];
}
