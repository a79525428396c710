/**
 * How well vsock limits hold, and what the broker costs: `node bench/vsock.ts [SECONDS]`. The guest is a stand-in in a
 * process of its own that speaks Firecracker's side of the protocol and takes all that it can get: so the figures are
 * the broker's, on any machine, without KVM or root. `test/lab/vsock.test.ts` looks at real guests.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { openHost } from "../src/host/real/host.ts";
import { toVmId } from "../src/vm/id.ts";
import { toHostPath } from "../src/vm/path.ts";
import { type VsockSpec, vsockSchema } from "../src/vm/vsock.ts";
import { VsockBroker } from "../src/vsock/broker.ts";
import { FakeVsock } from "../test/support/fake-vsock.ts";
import { median } from "./host.ts";

const MIB = 1024 * 1024;
const SOURCE = 1;
const SINK = 2;
const ECHO = 3;
const STORMED = 52;
const chunk = Buffer.alloc(256 * 1024);

if (process.argv[2] === "guest") await beGuest(process.argv[3] ?? "");
else await main(Number(process.argv[2] ?? 10));

async function main(seconds: number): Promise<void> {
  console.log(`Limits, each measured for ${seconds} s against a guest that takes all it can get:\n`);
  console.log("| limit | asked | measured | off |\n|---|---|---|---|");
  for (const mib of [1, 16, 64]) {
    row(`${mib} MiB/s to the host`, mib * MIB, await measureToHost(mib * MIB, seconds), "bytes/s");
    row(`${mib} MiB/s to the guest`, mib * MIB, await measureToGuest(mib * MIB, seconds), "bytes/s");
  }
  for (const rate of [5, 100, 500]) row(`${rate} connections/s`, rate, await measureStorm(rate, seconds), "/s");
  row("8 streams share 16 MiB/s", 16 * MIB, await measureToHost(16 * MIB, seconds, 8), "bytes/s");
  console.log(
    "\nCosts, without limits in the way:\n\n| | through the broker | straight to the socket |\n|---|---|---|",
  );
  await costs();
}

function row(name: string, asked: number, found: number, unit: string): void {
  const off = ((found / asked - 1) * 100).toFixed(1);
  console.log(
    `| ${name} | ${asked.toLocaleString("en")} ${unit} | ${Math.round(found).toLocaleString("en")} ${unit} | ${off} % |`,
  );
}

/** A broker with these limits, and its guest. */
async function open(limits: object) {
  const directory = mkdtempSync(join(tmpdir(), "warder-vsock-bench-"));
  mkdirSync(`${directory}/root`);
  const guest = fork(import.meta.filename, ["guest", `${directory}/root/v.sock`]);
  await once(guest, "message");
  const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const broker = new VsockBroker({
    host: openHost(),
    place: { id: toVmId("vm-1"), directory: toHostPath(directory), root: toHostPath(`${directory}/root`), ...own },
    spec: vsockSchema.parse({ limits }) as VsockSpec,
    warn: (message, details) => console.error(message, details),
  });
  await broker.open();
  return {
    broker,
    guest,
    path: `${directory}/root/v.sock`,
    async [Symbol.asyncDispose]() {
      broker[Symbol.dispose]();
      guest.kill();
      await once(guest, "exit");
      rmSync(directory, { recursive: true });
    },
  };
}

async function measureToHost(bytesPerSecond: number, seconds: number, streams = 1): Promise<number> {
  await using place = await open({ toHost: { bytesPerSecond } });
  for (let each = 0; each < streams; each++) (await place.broker.connect(SOURCE)).resume();
  return await perSecond(() => place.broker.statistics.bytesToHost, seconds);
}

async function measureToGuest(bytesPerSecond: number, seconds: number): Promise<number> {
  await using place = await open({ toGuest: { bytesPerSecond } });
  flood(await place.broker.connect(SINK));
  return await perSecond(() => place.broker.statistics.bytesToGuest, seconds);
}

async function measureStorm(rate: number, seconds: number): Promise<number> {
  await using place = await open({ connectionRate: { perSecond: rate } });
  await place.broker.listen(STORMED, (stream) => void stream.destroy());
  place.guest.send("storm");
  return await perSecond(() => place.broker.statistics.taken, seconds);
}

/** From the beginning on, the first burst included: what a limit lets through in so long. */
async function perSecond(count: () => number, seconds: number): Promise<number> {
  const [before, began] = [count(), performance.now()];
  await pause(seconds * 1000);
  return ((count() - before) / (performance.now() - began)) * 1000;
}

async function costs(): Promise<void> {
  const much = { bytesPerSecond: 1e11 };
  await using place = await open({ toHost: much, toGuest: much, connectionRate: { perSecond: 1e6 } });
  const straight = async (port: number): Promise<Duplex> => {
    const socket = connect(place.path);
    socket.write(`CONNECT ${port}\n`);
    await once(socket, "data");
    return socket;
  };
  const ways = [(port: number) => place.broker.connect(port), straight];
  const rates = await inTurn(ways, async (dial) => `${Math.round((await throughput(await dial(SOURCE))) / MIB)} MiB/s`);
  const echoes = await inTurn(ways, async (dial) => `${(await roundTrip(await dial(ECHO))).toFixed(3)} ms`);
  const dials = await inTurn(ways, async (dial) => `${(await timeToConnect(dial)).toFixed(3)} ms`);
  console.log(`| bytes from the guest, one stream | ${rates.join(" | ")} |`);
  console.log(`| a byte there and back, median | ${echoes.join(" | ")} |`);
  console.log(`| a new connection, median | ${dials.join(" | ")} |`);
}

async function inTurn<In, Out>(items: readonly In[], work: (item: In) => Promise<Out>): Promise<Out[]> {
  const results: Out[] = [];
  for (const item of items) results.push(await work(item));
  return results;
}

async function throughput(stream: Duplex): Promise<number> {
  let bytes = 0;
  stream.on("data", (data: Buffer) => {
    bytes += data.length;
  });
  const rate = await perSecond(() => bytes, 3);
  stream.destroy();
  return rate;
}

async function roundTrip(stream: Duplex): Promise<number> {
  const times: number[] = [];
  for (let turn = 0; turn < 2_000; turn++) {
    const began = performance.now();
    stream.write("x");
    await once(stream, "data");
    times.push(performance.now() - began);
  }
  stream.destroy();
  return median(times);
}

async function timeToConnect(dial: (port: number) => Promise<Duplex>): Promise<number> {
  const times: number[] = [];
  for (let turn = 0; turn < 300; turn++) {
    const began = performance.now();
    const stream = await dial(ECHO);
    times.push(performance.now() - began);
    stream.destroy();
  }
  return median(times);
}

function flood(stream: Duplex): void {
  const write = () => {
    while (!stream.destroyed && stream.write(chunk));
  };
  stream.on("drain", write).on("error", () => undefined);
  write();
}

/** The other process: a guest that takes all it can get. */
async function beGuest(path: string): Promise<void> {
  const fake = await FakeVsock.open(path);
  fake.listen(SOURCE, flood);
  fake.listen(SINK, (socket) => void socket.resume());
  fake.listen(ECHO, (socket) => void socket.pipe(socket));
  process.on("message", () => void storm(fake));
  (process as unknown as ChildProcess).send("ready");
}

async function storm(fake: FakeVsock): Promise<void> {
  for (;;) {
    await fake.connect(STORMED).then(
      (socket) => void socket.destroy(),
      () => pause(1),
    );
  }
}
