import assert from "node:assert/strict";
import { test } from "node:test";
import { Command } from "commander";
import { isWarderError, WarderError } from "../vm/error.ts";
import { parseVmSpec } from "../vm/spec.ts";
import { addFlags, readFlags } from "./flags.ts";
import { runFlags } from "./run-flags.ts";
import { inFlagNames, parseRun, type RunRequest } from "./run-request.ts";
import { flagOfField, withHostSocket } from "./run-spec.ts";

/** Reads flags of `run` as the command does; `problems` are those of flags and of the VM that they describe. */
async function read(...args: readonly string[]): Promise<{ request: RunRequest; problems: Record<string, string> }> {
  const command = new Command().exitOverride();
  addFlags(command, runFlags);
  command.parse(args, { from: "user" });
  const { values, problems } = readFlags(command, runFlags);
  const all = [...problems];
  const common = { json: false, overrides: {} };
  const refuse = (field: string, problem: string) => void all.push({ field, problem });
  const request = await parseRun({ flags: values, operands: [], common, refuse });
  return { request, problems: Object.fromEntries(all.map(({ field, problem }) => [field, problem])) };
}

test("every flag has its place in the description of the VM", async () => {
  const { request, problems } = await read(
    ...["--kernel", "/k", "--initrd", "/i", "--rootfs", "/r:ro", "--drive", "data=/d", "--drive", "/e:ro"],
    ...["--boot-args", "quiet", "--vcpus", "2", "--memory", "1G", "--id", "a-1"],
    ...["--cpu-percent", "150", "--cpu-weight", "50", "--cpus", "0-1", "--memory-nodes", "0"],
    ...["--memory-limit", "2G", "--pids", "99", "--open-files", "512", "--file-size", "3", "--io", "8:0:rbps=1M"],
    ...["--uid", "70000", "--gid", "70001", "--netns", "/run/netns/x", "--new-pid-ns", "--api-sock", "/api.sock"],
    ...["--isolation", "degrade", "--timeout", "2.5"],
    ...["--drive-limit", "rootfs:ops=100", "--drive-limit", "data:bandwidth=1M"],
    ...["--vsock-port", "80=tcp:127.0.0.1:8080,concurrent=2", "--vsock-limit", "rate=5"],
  );
  assert.deepEqual(problems, {});
  assert.deepEqual(request.spec, {
    kernel: "/k",
    id: "a-1",
    initrd: "/i",
    bootArgs: "quiet",
    vcpus: 2,
    memoryMib: 1024,
    drives: [
      { path: "/r", readOnly: true, root: true, rateLimit: { operations: { perSecond: 100 } } },
      { id: "data", path: "/d", readOnly: false, rateLimit: { bandwidth: { bytesPerSecond: 1024 ** 2 } } },
      { path: "/e", readOnly: true },
    ],
    vsock: {
      ports: [{ port: 80, to: "tcp:127.0.0.1:8080", limits: { concurrent: 2 } }],
      limits: { connectionRate: { perSecond: 5 } },
    },
    limits: {
      cpuPercent: 150,
      cpuWeight: 50,
      cpus: "0-1",
      memoryNodes: "0",
      memoryBytes: 2 * 1024 ** 3,
      pids: 99,
      openFiles: 512,
      fileSizeBytes: 3 * 1024 ** 2,
      io: [{ device: "8:0", readBytesPerSecond: 1024 ** 2 }],
    },
    policy: "degrade",
    jailed: true,
    uid: 70_000,
    gid: 70_001,
    netns: "/run/netns/x",
    newPidNamespace: true,
    apiSocket: "/api.sock",
    startTimeoutMs: 2500,
  });
  assert.ok(parseVmSpec(request.spec));
});

test("a vsock may be had without anything open", async () => {
  const { request } = await read("--kernel", "/k", "--vsock");
  assert.deepEqual(request.spec.vsock, {});
});

test("what is wrong with a vsock or a disk's limit is told by its flag", async () => {
  const { problems } = await read(
    ...["--kernel", "/k", "--vsock-port", "80=tcp:10.0.0.1:80", "--vsock-limit", "concurrent=5000"],
    ...["--drive", "data=/d", "--drive-limit", "data:bandwidth=1M,burst=1", "--drive-limit", "other:ops=1"],
  );
  assert.match(String(problems["--vsock-port"]), /loopback/);
  assert.match(String(problems["--vsock-limit"]), /at most 1023/);
  assert.match(String(problems["--drive-limit"]), /at least 104858|no disk other/);
});

test("what is not said is left to the VM's own defaults", async () => {
  const { request } = await read("--kernel", "/k");
  assert.deepEqual(request.spec, { kernel: "/k", drives: [], limits: {}, jailed: true, newPidNamespace: false });
  assert.deepEqual([request.detach, request.forget, request.proof, request.quiet], [false, false, false, false]);
});

test("the built-in guest is proven control by control", async () => {
  const { request } = await read("--probe", "--rm", "-d", "-q");
  assert.equal(request.spec.kernel, "probe");
  assert.deepEqual([request.detach, request.forget, request.proof, request.quiet], [true, true, true, true]);
});

test("everything wrong is told at once, by the flags that gave it", async () => {
  const { problems } = await read(
    ...["--kernel", "", "--rootfs", ":ro", "--vcpus", "33", "--memory", "64", "--id", "a_b", "--uid", "0"],
    ...["--cpus", "x", "--memory-nodes", "y", "--pids", "0", "--open-files", "1", "--cpu-percent", "0"],
    ...["--boot-args", "ä", "--api-sock", "rel", "--io", "foo", "--io", "/nowhere:rbps=1", "--isolation", "lax"],
    ...["--timeout", "0", "--file-size", "0", "--memory-limit", "0", "--cpu-weight", "0", "--gid", "0"],
  );
  assert.deepEqual(Object.keys(problems).sort(), [
    "--api-sock",
    "--boot-args",
    "--cpu-percent",
    "--cpu-weight",
    "--cpus",
    "--file-size",
    "--gid",
    "--id",
    "--io",
    "--isolation",
    "--kernel",
    "--memory",
    "--memory-limit",
    "--memory-nodes",
    "--open-files",
    "--pids",
    "--rootfs",
    "--timeout",
    "--uid",
    "--vcpus",
  ]);
});

test("a guest is needed, and one of them", async () => {
  assert.deepEqual((await read()).problems, { "--kernel": "is needed, or --probe" });
  assert.deepEqual(Object.keys((await read("--probe", "--kernel", "/k", "--initrd", "/i")).problems), [
    "--kernel",
    "--initrd",
  ]);
});

test("a throttled device that is no block device is refused by its path", async () => {
  const { problems } = await read("--kernel", "/k", "--io", "/dev/null:rbps=1");
  assert.deepEqual(problems, { "--io": "/dev/null is not a block device" });
});

test("fields of a start's error are named by their flags", () => {
  for (const [field, flag] of [
    ["kernel", "--kernel"],
    ["drive rootfs", "--rootfs"],
    ["drive data", "--drive"],
    ["drives[0].path", "--rootfs"],
    ["drives[1].id", "--drive"],
    ["drives", "--drive"],
    ["limits.io[0].device", "--io"],
    ["limits.cpus", "--cpus"],
    ["memoryMib", "--memory"],
    ["newPidNamespace", "--new-pid-ns"],
  ] as const) {
    assert.equal(flagOfField(field, true), flag);
  }
  assert.equal(flagOfField("drives[0].path", false), "--drive");
});

test("only errors about what the caller gave are renamed, and nothing is lost of them", async () => {
  const { request } = await read("--kernel", "/k", "--rootfs", "/r");
  const facts = {
    doing: "starting",
    why: "it",
    cure: "Do",
    fields: [{ field: "drive rootfs", problem: "is not there" }],
  };
  const missing = new WarderError("asset-missing", { ...facts, cleanup: ["x"] });
  const renamed = inFlagNames(missing, request);
  assert.ok(isWarderError(renamed));
  assert.deepEqual(renamed.fields, [{ field: "--rootfs", problem: "is not there" }]);
  assert.deepEqual(
    [renamed.code, renamed.cure, renamed.cleanup, renamed.cause],
    ["asset-missing", "Do", ["x"], missing],
  );
  const gap = new WarderError("isolation-gap", { ...facts, fields: [{ field: "uid", problem: "found 0" }] });
  assert.equal(inFlagNames(gap, request), gap);
  const other = new Error("x");
  assert.equal(inFlagNames(other, request), other);
});

test("an unjailed VM's socket lies in the state directory, unless it is given a place", () => {
  const spec = { kernel: "probe", jailed: false } as const;
  assert.equal(withHostSocket(spec, "/s").apiSocket, "/s/unjailed/{id}/api.socket");
  assert.equal(withHostSocket({ ...spec, apiSocket: "/x" }, "/s").apiSocket, "/x");
  assert.equal(withHostSocket({ kernel: "probe" }, "/s").apiSocket, undefined);
});
