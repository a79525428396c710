import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { describe, test } from "node:test";
import type { Step } from "../../src/lifecycle/engine.ts";
import { startSteps } from "../../src/lifecycle/start.ts";
import type { StartContext } from "../../src/lifecycle/start-context.ts";
import type { Vm } from "../../src/lifecycle/vm.ts";
import { Warder } from "../../src/lifecycle/warder.ts";
import { isWarderError } from "../../src/vm/error.ts";
import type { VmSpecInput } from "../../src/vm/spec.ts";
import { heard } from "../support/broker-fixture.ts";
import { requires } from "../support/capability.ts";
import { guest, openFixture } from "../support/warder-fixture.ts";

const needs = requires("root", "kvm", "real-binaries");
const code = (wanted: string) => (error: unknown) => isWarderError(error) && error.code === wanted;

/** A guest that lives until it is stopped. It has no driver for its vsock, as none of the tiny ones has. */
const withVsock = (vsock: NonNullable<VmSpecInput["vsock"]> = {}): VmSpecInput => ({ kernel: guest("idle"), vsock });

/** What Firecracker's process would do for a guest that dials a port: with the ids given, by its own path. */
function dial(path: string, uid: number, gid: number): string {
  const script = `require("node:net").connect(${JSON.stringify(path)})
    .on("connect", () => { console.log("connected"); process.exit() })
    .on("error", ({ code }) => { console.log(code); process.exit() })`;
  // A directory and a program that this user may enter and read.
  const { stdout, stderr } = spawnSync("/proc/self/exe", ["-e", script], {
    uid,
    gid,
    cwd: "/",
    encoding: "utf8",
    argv0: process.execPath,
  });
  return stdout.trim() || stderr;
}

const socketOf = (vm: Vm, port: number) => `${vm.inspect().jail.root}/v.sock_${port}`;

/** A connection of the guest's, as its Firecracker would make it. */
async function fromGuest(vm: Vm, port: number): Promise<Socket> {
  const link = `/var/tmp/warder-vsock-${process.pid}-${port}`;
  fs.symlinkSync(vm.inspect().jail.root, link);
  try {
    const socket = connect({ path: `${link}/v.sock_${port}`, allowHalfOpen: true });
    await once(socket, "connect");
    return socket;
  } finally {
    fs.unlinkSync(link);
  }
}

describe("a VM with a vsock", needs, () => {
  test("has the device, with a context id of its own, in a jail that is proven", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const vms = [await fixture.warder.run(withVsock()), await fixture.warder.run(withVsock())];
    const cids = vms.map(({ record }) => record.vsock?.cid);
    assert.equal(new Set(cids).size, 2);
    for (const [index, vm] of vms.entries()) {
      assert.equal(vm.inspect().isolation?.level, "proven", String(vm.inspect().isolation?.gaps));
      assert.deepEqual(await deviceOf(fixture.warder, vm), { guest_cid: cids[index], uds_path: "/v.sock" });
    }
    for (const vm of vms) await vm.remove({ force: true });
    assert.deepEqual(fixture.snapshot(), before);
    assert.equal(fixture.warder.machinery.store.leases.count("vsock-cid"), 0);
  });

  test("whose guest does not answer hangs nobody", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run(withVsock());
    await assert.rejects(vm.vsock.connect(5000, { timeoutMs: 300 }), code("deadline-exceeded"));
    assert.equal((await vm.vsock.statistics())?.open, 0);
    await assert.rejects(vm.vsock.connect(-1), code("invalid-argument"));
    await assert.rejects(
      vm.vsock.listen(1, () => undefined, { concurrent: 0 }),
      code("invalid-argument"),
    );
    await vm.pause();
    await assert.rejects(vm.vsock.connect(1), code("wrong-state"));
  });

  test("lets its own user dial open ports, and nobody else", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run(withVsock());
    await vm.vsock.listen(52, (stream) => void stream.destroy());
    const { uid, gid } = vm.inspect().jail;
    assert.equal(dial(`/proc/${vm.inspect().pid}/root/v.sock_52`, 0, 0), "connected");
    // Out of the jail's root, which nobody else can enter, the socket's own mode decides.
    const open = fs.mkdtempSync("/var/tmp/warder-open-");
    fs.chmodSync(open, 0o755);
    try {
      fs.linkSync(socketOf(vm, 52), `${open}/s`);
      assert.equal(dial(`${open}/s`, uid, gid), "connected");
      assert.equal(dial(`${open}/s`, uid + 1, gid + 1), "EACCES");
    } finally {
      fs.rmSync(open, { recursive: true });
    }
    assert.equal(fs.statSync(`${vm.record.layout.directory}/v`).mode & 0o777, 0o700);
  });

  test("is led to services of the host's, and closed where nothing was opened", async () => {
    await using fixture = await openFixture();
    const server = createServer(
      { allowHalfOpen: true },
      (socket) => void heard(socket).then((said) => socket.end(said)),
    );
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as { port: number };
    const vm = await fixture.warder.run(withVsock({ ports: [{ port: 80, to: `tcp:127.0.0.1:${port}` }] }));
    const socket = await fromGuest(vm, 80);
    socket.end("echo");
    assert.equal(await heard(socket), "echo");
    await assert.rejects(fromGuest(vm, 81), /ENOENT/);
    server.close();
  });

  test("has it without the jailer too", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const unjailed = { jailed: false, policy: "degrade", apiSocket: `${fixture.options.stateDir}/api` } as const;
    const vm = await fixture.warder.run({ ...withVsock(), ...unjailed });
    await vm.vsock.listen(52, (stream) => void stream.end("welcome"));
    assert.equal(await heard(await fromGuest(vm, 52)), "welcome");
    await assert.rejects(vm.vsock.connect(1, { timeoutMs: 300 }), code("deadline-exceeded"));
    await vm.remove({ force: true });
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("is served by the manager that looks after it, to every process", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run(withVsock());
    const other = (await fixture.reopen()).get(vm.id);
    const listening = await other.vsock.listen(52, (stream) => void stream.end("from the other"));
    assert.equal(await heard(await fromGuest(vm, 52)), "from the other");
    await assert.rejects(
      vm.vsock.listen(52, () => undefined),
      code("vsock-port-taken"),
    );
    await assert.rejects(other.vsock.connect(1, { timeoutMs: 200 }), code("deadline-exceeded"));
    assert.equal(await other.vsock.statistics(), undefined);
    listening.close();
  });

  test("keeps its ports over a restart of its manager", async () => {
    await using fixture = await openFixture();
    const server = createServer((socket) => void socket.end("welcome"));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as { port: number };
    const first = await Warder.open(fixture.options);
    const { id } = await first.run(withVsock({ ports: [{ port: 80, to: `tcp:127.0.0.1:${port}` }] }));
    const cid = first.get(id).record.vsock?.cid;
    await first[Symbol.asyncDispose]();
    const adopted = fixture.warder.get(id);
    await assert.rejects(fromGuest(adopted, 80), /ENOENT/);
    const listening = await adopted.vsock.listen(52, () => undefined);
    assert.equal(await heard(await fromGuest(adopted, 80)), "welcome");
    assert.equal(adopted.record.vsock?.cid, cid);
    listening.close();
    await adopted.remove({ force: true });
    server.close();
  });
});

describe("a VM without a vsock", needs, () => {
  test("has neither sockets nor a broker, and says so", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({ kernel: guest("idle") });
    assert.ok(!fs.existsSync(`${vm.record.layout.directory}/v`));
    await assert.rejects(vm.vsock.connect(1), code("wrong-state"));
  });
});

describe("a start with a vsock leaves the host as before", needs, () => {
  class Planted extends Error {}
  const names = ["open-vsock", "launch", "boot", "announce"];
  for (const name of names) {
    test(`where it fails after ${name}`, async () => {
      await using fixture = await openFixture();
      const before = fixture.snapshot();
      const fail =
        (step: Step<StartContext>): Step<StartContext>["run"] =>
        async (context, signal) => {
          await step.run(context, signal);
          throw new Planted(name);
        };
      const steps = startSteps.map((step) => (step.name === name ? { ...step, run: fail(step) } : step));
      const input = withVsock({ ports: [{ port: 80, to: "tcp:127.0.0.1:1" }] });
      await assert.rejects(fixture.warder.run(input, { steps }), (error) => {
        assert.ok(isWarderError(error) && error.cause instanceof Planted, String(error));
        assert.deepEqual(error.cleanup, []);
        return true;
      });
      assert.deepEqual(fixture.snapshot(), before);
    });
  }

  test("each step of it can be run twice", async () => {
    await using fixture = await openFixture();
    const steps = startSteps.map((step) => ({
      ...step,
      run: async (context: StartContext, signal: AbortSignal) => {
        await step.run(context, signal);
        await step.run(context, signal);
      },
    }));
    const vm = await fixture.warder.run(withVsock({ ports: [{ port: 80, to: "tcp:127.0.0.1:1" }] }), { steps });
    assert.equal(vm.inspect().isolation?.level, "proven");
    assert.ok(fs.existsSync(socketOf(vm, 80)));
  });
});

/** The device as Firecracker itself describes it. */
async function deviceOf(warder: Warder, vm: Vm): Promise<unknown> {
  const { connectApi } = await import("../../src/lifecycle/api.ts");
  const client = connectApi(warder.machinery.host, vm.record);
  try {
    return (await client.vmConfig()).vsock;
  } finally {
    client.close();
  }
}
