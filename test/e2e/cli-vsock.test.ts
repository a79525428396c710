import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { describe, test } from "node:test";
import { heard } from "../support/broker-fixture.ts";
import { requires } from "../support/capability.ts";
import { guest } from "../support/warder-fixture.ts";
import { type Cli, eventually, openCli, program } from "./cli-fixture.ts";

const needs = requires("root", "kvm", "real-binaries");

interface View {
  readonly id: string;
  readonly jail: { readonly root: string };
  readonly vsock?: { readonly cid: number };
}

/** A VM in the background, whose manager is a process of its own. */
const runVm = (cli: Cli, ...flags: string[]) =>
  cli.json<View>("run", "--detach", "--kernel", guest("idle"), "--id", cli.id("v"), ...flags);

/** A command with a standard input. */
function speak(cli: Cli, ...args: string[]): ChildProcessWithoutNullStreams & { readonly said: () => string } {
  const child = spawn(program, args, { env: cli.environment, stdio: "pipe" });
  let said = "";
  child.stdout.on("data", (data: Buffer) => {
    said += data;
  });
  return Object.assign(child, { said: () => said });
}

/** What Firecracker does when its guest connects to a port of the host's. */
async function dial(cli: Cli, { jail }: View, port: number): Promise<Socket> {
  const link = `${cli.stateDir}/r`;
  fs.rmSync(link, { force: true });
  fs.symlinkSync(jail.root, link);
  const socket = connect({ path: `${link}/v.sock_${port}`, allowHalfOpen: true });
  await once(socket, "connect");
  return socket;
}

describe("warder vsock", needs, () => {
  test("listen joins standard input and output to the guest's connection, and ends with it", async () => {
    await using cli = openCli();
    const vm = await runVm(cli, "--vsock");
    assert.ok((vm.vsock?.cid ?? 0) >= 3);
    const listening = speak(cli, "vsock", "listen", vm.id, "52");
    await eventually("the port is open", () => fs.existsSync(`${vm.jail.root}/v.sock_52`));
    const socket = await dial(cli, vm, 52);
    listening.stdin.end("from the host");
    socket.write("from the ");
    const [first] = await once(socket, "data");
    assert.equal(String(first), "from the host");
    socket.end("guest");
    const [status] = await once(listening, "close");
    assert.deepEqual([status, listening.said()], [0, "from the guest"]);
    await eventually("the port is closed", () => !fs.existsSync(`${vm.jail.root}/v.sock_52`));
  });

  test("connect gives up on a guest that does not answer, in time", async () => {
    await using cli = openCli();
    const vm = await runVm(cli, "--vsock");
    const { status, stderr } = await cli.run("vsock", "connect", vm.id, "5000", "--timeout", "0.3");
    assert.equal(status, 1, stderr);
    assert.match(stderr, /\[deadline-exceeded\]/);
  });

  test("ends when the VM does", async () => {
    await using cli = openCli();
    const vm = await runVm(cli, "--vsock");
    const listening = cli.start("vsock", "listen", vm.id, "52");
    await eventually("the port is open", () => fs.existsSync(`${vm.jail.root}/v.sock_52`));
    await cli.run("kill", vm.id);
    const { status, stderr } = await listening.ended;
    assert.equal(status, 1, stderr);
    assert.match(stderr, /\[vsock-broken\]/);
  });

  test("leads the guest to a service of the host's", async () => {
    const server = createServer((socket) => void socket.end("welcome"));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as { port: number };
    await using cli = openCli();
    const vm = await runVm(cli, "--vsock-port", `80=tcp:127.0.0.1:${port}`);
    assert.equal(await heard(await dial(cli, vm, 80)), "welcome");
    server.close();
  });

  test("refuses what makes no sense, with the exit status of its kind", async () => {
    await using cli = openCli();
    const bad = await cli.run("vsock", "speak", "no-such", "70000000000", "extra", "--json");
    assert.equal(bad.status, 2, bad.stderr);
    for (const part of ["connect or listen", "PORT", "extra", "--json"]) assert.ok(bad.stderr.includes(part), part);
    assert.equal((await cli.run("vsock", "connect", "no-such", "1")).status, 4);
    const short = await cli.run("vsock");
    assert.equal(short.status, 2);
    assert.match(short.stderr, /connect\|listen: is needed[\s\S]*PORT: is needed/);
    const { id } = await cli.json<View>("run", "-d", "--kernel", guest("idle"), "--id", cli.id("n"));
    const without = await cli.run("vsock", "connect", id, "1");
    assert.equal(without.status, 1);
    assert.match(without.stderr, /has no vsock/);
  });
});
