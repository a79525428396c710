import assert from "node:assert/strict";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Vm } from "../../src/lifecycle/vm.ts";
import { isWarderError } from "../../src/vm/error.ts";
import { heard } from "../support/broker-fixture.ts";
import { requires } from "../support/capability.ts";
import { buildLabGuest, LAB_PATIENCE_MS, type LabGuest } from "../support/lab-guest.ts";
import { openFixture, type WarderFixture } from "../support/warder-fixture.ts";

const needs = requires("in-lab", "cgroup-v2", "real-binaries", "gcc");
const peer = new URL("guest/peer.c", import.meta.url).pathname;
const code = (wanted: string) => (error: unknown) => isWarderError(error) && error.code === wanted;

const SHELL = 1;
const ECHO = 5000;
const LAST = 5001;
const SINK = 5002;
const SOURCE = 5003;
const services = { [SHELL]: "shell", [ECHO]: "echo", [LAST]: "last", [SINK]: "sink", [SOURCE]: "source" };
const COMMAND = `${Object.entries(services)
  .map(([port, mode]) => `peer serve ${port} ${mode}`)
  .join(" & ")} & wait`;

/** How long limits are measured for. */
const SECONDS = 10;

let guest: LabGuest | undefined;
let fixture: WarderFixture | undefined;
let vm: Vm;

/** What a command in the guest prints. */
async function inGuest(command: string): Promise<string> {
  const stream = await vm.vsock.connect(SHELL, { timeoutMs: LAB_PATIENCE_MS });
  stream.write(`${command}; exit\n`);
  return heard(stream);
}

/** Within a tenth of what is due. */
function assertWithinTenth(found: number, due: number): void {
  assert.ok(Math.abs(found / due - 1) <= 0.1, `${found}, and ${due} are due`);
}

/** How much comes in so many seconds, from the first byte on. */
async function measure(stream: Duplex, seconds: number): Promise<number> {
  let bytes = 0;
  stream
    .on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    })
    .resume();
  await once(stream, "data");
  const before = bytes;
  await pause(seconds * 1000);
  return bytes - before;
}

describe("a Linux guest with a vsock", { ...needs, timeout: 6 * LAB_PATIENCE_MS }, () => {
  before(async () => {
    guest = buildLabGuest(peer);
    fixture = await openFixture();
    // A bucket of 300 ms: the lab is emulated, and may stand still for longer than the usual 100.
    const slow = { bytesPerSecond: 100_000, burstBytes: 30_000 };
    vm = await fixture.warder.run(
      guest.spec(COMMAND, {
        vsock: {
          guestPorts: [
            { port: SINK, limits: { toGuest: slow } },
            { port: SOURCE, limits: { toHost: slow } },
          ],
        },
      }),
    );
    assert.equal(vm.inspect().isolation?.level, "proven", String(vm.inspect().isolation?.gaps));
    await met("its programs listen", () => Object.values(services).every((mode) => vm.readConsole().includes(mode)));
  });
  after(async () => {
    await fixture?.[Symbol.asyncDispose]();
    guest?.[Symbol.dispose]();
  });

  test("is spoken to by several streams at once", async () => {
    const streams = await Promise.all([0, 1, 2, 3].map(() => vm.vsock.connect(ECHO, { timeoutMs: LAB_PATIENCE_MS })));
    for (const [index, stream] of streams.entries()) {
      stream.write(`this is ${index}`);
      const [said] = await once(stream, "data");
      assert.equal(String(said), `this is ${index}`);
      stream.destroy();
    }
  });

  test("refuses where none of its programs listens", () =>
    assert.rejects(vm.vsock.connect(9, { timeoutMs: LAB_PATIENCE_MS }), code("vsock-refused")));

  test("speaks to the host, on open ports alone", async () => {
    using listening = await vm.vsock.listen(
      52,
      (stream) => void stream.once("data", (said) => stream.end(`heard ${said}`)),
    );
    assert.match(await inGuest("peer dial 52 ask question"), /said heard question/);
    listening.close();
    assert.match(await inGuest("peer dial 52 ask question"), /dial: Connection reset by peer/);
    assert.match(await inGuest("peer dial 53 ask question"), /dial: Connection reset by peer/);
  });

  test("loses nothing of what it said before it closed", async () => {
    const bytes = 3_000_000;
    const got = Promise.withResolvers<number>();
    using _listening = await vm.vsock.listen(52, async (stream) => {
      let total = 0;
      for await (const chunk of stream) total += (chunk as Buffer).length;
      got.resolve(total);
    });
    await inGuest(`peer dial 52 send ${bytes}`);
    assert.equal(await got.promise, bytes);
  });

  test("hears the end of what the host says where it is passed on, and its answer is lost then", async () => {
    const stream = await vm.vsock.connect(LAST, { halfClose: "pass", timeoutMs: LAB_PATIENCE_MS });
    stream.on("error", () => undefined).end("question");
    assert.equal(await heard(stream), "");
    await met("the guest has heard it", () => /peer: last heard 8/.test(vm.readConsole()));
  });

  test("hears no end where it is held back, and answers", async () => {
    const stream = await vm.vsock.connect(ECHO, { timeoutMs: LAB_PATIENCE_MS });
    stream.end("question");
    const [said] = await once(stream, "data");
    assert.equal(String(said), "question");
    assert.ok(!stream.destroyed);
    stream.destroy();
  });

  test("can not tell the host that it has said all: Firecracker keeps that to itself", async () => {
    let ended = false;
    using _listening = await vm.vsock.listen(52, async (stream) => {
      stream.once("end", () => {
        ended = true;
      });
      await once(stream.resume(), "data");
      await pause(1_000);
      stream.end(ended ? "it has ended" : "it goes on");
    });
    assert.match(await inGuest("peer dial 52 half question"), /heard 10: it goes on/);
  });

  test("is held to its bytes a second, each way", async () => {
    const source = await vm.vsock.connect(SOURCE, { timeoutMs: LAB_PATIENCE_MS });
    assertWithinTenth(await measure(source, SECONDS), 100_000 * SECONDS);
    source.destroy();
    const sink = await vm.vsock.connect(SINK, { timeoutMs: LAB_PATIENCE_MS });
    const before = (await vm.vsock.statistics())?.ports[`guest:${SINK}`]?.bytesToGuest ?? 0;
    flood(sink);
    await pause(SECONDS * 1000);
    const after = (await vm.vsock.statistics())?.ports[`guest:${SINK}`]?.bytesToGuest ?? 0;
    sink.destroy();
    assertWithinTenth(after - before, 100_000 * SECONDS);
  });

  test("is held to its connections a second, whatever it tries", async () => {
    const limits = { connectionRate: { perSecond: 5 } };
    using _listening = await vm.vsock.listen(52, (stream) => void stream.destroy(), limits);
    const count = async () => (await vm.vsock.statistics())?.ports["host:52"];
    const storm = inGuest(`peer dial 52 storm ${SECONDS * 3}`);
    await met("it storms", async () => ((await count())?.taken ?? 0) > 1);
    const before = (await count())?.taken ?? 0;
    await pause(SECONDS * 1000);
    const after = (await count())?.taken ?? 0;
    assertWithinTenth(after - before, 5 * SECONDS);
    // It goes on with what is left to it.
    assert.match(await storm, /stormed \d+ refused [1-9]/);
  });

  test("has no more connections at once than it may", async () => {
    const streams: Duplex[] = [];
    using _listening = await vm.vsock.listen(52, (stream) => void streams.push(stream), { concurrent: 3 });
    const shell = await vm.vsock.connect(SHELL, { timeoutMs: LAB_PATIENCE_MS });
    shell.write("peer dial 52 hold 10 & wait\n");
    const [said] = await once(shell, "data");
    assert.match(String(said), /holding 3/);
    assert.equal(streams.length, 3);
    shell.destroy();
    for (const stream of streams) stream.destroy();
  });

  test("is reached again after a pause and resume, with this release", async () => {
    await vm.pause();
    await assert.rejects(vm.vsock.connect(ECHO), code("wrong-state"));
    await vm.resume();
    assert.match(await inGuest("echo alive"), /alive/);
  });
});

function flood(stream: Duplex): void {
  const chunk = Buffer.alloc(65_536);
  const write = () => {
    while (!stream.destroyed && stream.write(chunk));
  };
  stream.on("drain", write).on("error", () => undefined);
  write();
}

async function met(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + LAB_PATIENCE_MS;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `not in time: ${what}`);
    await pause(100);
  }
}
