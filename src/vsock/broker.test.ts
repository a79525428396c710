import assert from "node:assert/strict";
import { once } from "node:events";
import * as fs from "node:fs";
import { createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { describe, test } from "node:test";
import { heard, openBroker } from "../../test/support/broker-fixture.ts";
import { isWarderError } from "../vm/error.ts";

const code = (wanted: string) => (error: unknown) => isWarderError(error) && error.code === wanted;

/** Answers what it heard, once it has heard all. */
const answer = (socket: Duplex) => void heard(socket).then((said) => socket.end(`heard ${said}`));

describe("from host to guest", () => {
  test("a stream speaks to the guest's program, and ends each direction by itself where asked", async () => {
    await using fixture = await openBroker();
    fixture.guest.listen(5000, answer);
    const stream = await fixture.broker.connect(5000, { halfClose: "pass" });
    stream.end("question");
    assert.equal(await heard(stream), "heard question");
    assert.deepEqual(fixture.guest.asked, ["CONNECT 5000"]);
  });

  test("a stream that has ended its writing goes on reading until the guest ends", async () => {
    await using fixture = await openBroker();
    let ended = false;
    fixture.guest.listen(7, (socket) => {
      socket.once("end", () => {
        ended = true;
      });
      socket.once("data", (data) => setImmediate(() => socket.end(`heard ${data}, and ${ended ? "" : "no "}end`)));
    });
    const stream = await fixture.broker.connect(7);
    stream.end("question");
    assert.equal(await heard(stream), "heard question, and no end");
    if (!stream.closed) await once(stream, "close");
    assert.equal(fixture.broker.statistics.open, 0);
  });

  test("what the guest says first is not lost behind the answer to CONNECT", async () => {
    await using fixture = await openBroker({}, { answer: "OK 1073741824\nwelcome" });
    fixture.guest.listen(22, (socket) => void socket.end("!"));
    const stream = await fixture.broker.connect(22);
    assert.equal(await heard(stream), "welcome!");
  });

  test("a port on which nothing listens refuses, and leaves no place taken", async () => {
    await using fixture = await openBroker();
    await assert.rejects(fixture.broker.connect(1), code("vsock-refused"));
    assert.equal(fixture.broker.statistics.open, 0);
  });

  test("an answer that is none is no connection", async () => {
    for (const bad of ["HELLO\n", "OK\n", "OK x\n", "x".repeat(64), "OK 99999999999999999999999999\n"]) {
      await using fixture = await openBroker({}, { answer: bad });
      fixture.guest.listen(1, () => undefined);
      await assert.rejects(fixture.broker.connect(1), code("vsock-refused"), bad);
    }
  });

  test("a guest that does not answer hangs nobody", async () => {
    await using fixture = await openBroker({}, { silent: true });
    await assert.rejects(fixture.broker.connect(1, { timeoutMs: 50 }), code("deadline-exceeded"));
    const signal = AbortSignal.timeout(20);
    await assert.rejects(fixture.broker.connect(1, { signal }), code("deadline-exceeded"));
    const caller = new AbortController();
    const attempt = fixture.broker.connect(1, { signal: caller.signal });
    caller.abort();
    await assert.rejects(attempt, code("aborted"));
    assert.equal(fixture.broker.statistics.open, 0);
  });

  test("a VM without its socket refuses at once", async () => {
    await using fixture = await openBroker();
    fs.rmSync(`${fixture.directory}/root/v.sock`);
    await assert.rejects(fixture.broker.connect(1), (error) => {
      assert.match(String(error), /its Firecracker does not listen/);
      return code("vsock-refused")(error);
    });
    fs.symlinkSync("/dev/log", `${fixture.directory}/root/v.sock`);
    await assert.rejects(fixture.broker.connect(1), code("process-stranger"));
  });

  test("as many as are allowed at once, of the VM and of one port", async () => {
    const guestPorts = [{ port: 2, limits: { concurrent: 1 } }];
    await using fixture = await openBroker({ limits: { concurrent: 2 }, guestPorts });
    fixture.guest.listen(1, () => undefined);
    fixture.guest.listen(2, () => undefined);
    const two = await fixture.broker.connect(2);
    await assert.rejects(fixture.broker.connect(2), code("vsock-limit"));
    const one = await fixture.broker.connect(1);
    await assert.rejects(fixture.broker.connect(1), code("vsock-limit"));
    one.destroy();
    await once(one, "close");
    await assert.rejects(fixture.broker.connect(2), code("vsock-limit"));
    two.destroy();
    await once(two, "close");
    (await fixture.broker.connect(2)).destroy();
    const { taken, refused, ports } = fixture.broker.statistics;
    assert.deepEqual([taken, refused], [3, 3]);
    assert.deepEqual([ports["guest:2"]?.taken, ports["guest:2"]?.refused], [2, 2]);
  });

  test("a connection over the rate waits for its turn, no longer than its caller", async () => {
    await using fixture = await openBroker({ limits: { connectionRate: { perSecond: 1, burst: 1 } } });
    fixture.guest.listen(1, () => undefined);
    (await fixture.broker.connect(1)).destroy();
    await assert.rejects(fixture.broker.connect(1, { timeoutMs: 30 }), code("deadline-exceeded"));
    assert.deepEqual(fixture.guest.asked, ["CONNECT 1"]);
  });
});

describe("from guest to host", () => {
  test("a port is closed unless it was opened, and when it was closed", async () => {
    await using fixture = await openBroker();
    await assert.rejects(fixture.guest.connect(52), /ENOENT/);
    const listening = await fixture.broker.listen(52, answer);
    const socket = await fixture.guest.connect(52);
    socket.end("question");
    assert.equal(await heard(socket), "heard question");
    listening.close();
    listening.close();
    await assert.rejects(fixture.guest.connect(52), /ENOENT/);
    assert.deepEqual(fs.readdirSync(`${fixture.directory}/v`), ["control"]);
  });

  test("connections go on when their port is closed", async () => {
    await using fixture = await openBroker();
    const met = Promise.withResolvers<Duplex>();
    const listening = await fixture.broker.listen(52, (stream) => met.resolve(stream));
    const socket = await fixture.guest.connect(52);
    const stream = await met.promise;
    listening.close();
    stream.end("still here");
    assert.equal(await heard(socket), "still here");
  });

  test("a port is opened once", async () => {
    await using fixture = await openBroker();
    const first = await fixture.broker.listen(52, answer);
    await assert.rejects(fixture.broker.listen(52, answer), code("vsock-port-taken"));
    first.close();
    (await fixture.broker.listen(52, answer)).close();
  });

  test("a handler that fails ends its connection alone, and is told of once", async () => {
    await using fixture = await openBroker();
    await fixture.broker.listen(52, () => Promise.reject(new Error("no good")));
    for (let each = 0; each < 3; each++) assert.equal(await heard(await fixture.guest.connect(52)), "");
    assert.deepEqual(fixture.warnings, ["no good"]);
  });

  test("what a manager that died has left, and what a jail has put in the way, is replaced", async () => {
    await using fixture = await openBroker();
    fs.writeFileSync(`${fixture.directory}/v/52`, "");
    fs.symlinkSync("/etc/passwd", `${fixture.directory}/root/v.sock_52`);
    await fixture.broker.listen(52, answer);
    const socket = await fixture.guest.connect(52);
    socket.end("hello");
    assert.equal(await heard(socket), "heard hello");
  });

  test("a directory in the way keeps the port closed, and is left", async () => {
    await using fixture = await openBroker();
    fs.mkdirSync(`${fixture.directory}/root/v.sock_52`);
    await assert.rejects(fixture.broker.listen(52, answer), /opening vsock port 52/);
    assert.deepEqual(fs.readdirSync(`${fixture.directory}/v`), ["control"]);
    fs.rmdirSync(`${fixture.directory}/root/v.sock_52`);
    (await fixture.broker.listen(52, answer)).close();
  });

  test("a connection is led to a service of the host's", async () => {
    const server = createServer({ allowHalfOpen: true }, answer);
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as { port: number };
    await using fixture = await openBroker({ ports: [{ port: 80, to: `tcp:127.0.0.1:${port}` }] });
    const socket = await fixture.guest.connect(80);
    socket.end("question");
    assert.equal(await heard(socket), "heard question");
    server.close();
    assert.equal(await heard(await fixture.guest.connect(80)), "");
    assert.match(fixture.warnings.join(), /ECONNREFUSED/);
  });

  test("while there is no room the port is gone, and comes back with the room", async () => {
    await using fixture = await openBroker();
    const streams: Duplex[] = [];
    await fixture.broker.listen(52, (stream) => void streams.push(stream), { concurrent: 2 });
    await fixture.guest.connect(52);
    assert.ok(fixture.guest.isOpen(52));
    await fixture.guest.connect(52);
    await until(() => streams.length === 2 && !fixture.guest.isOpen(52));
    await assert.rejects(fixture.guest.connect(52), /ENOENT/);
    streams[0]?.destroy();
    await until(() => fixture.guest.isOpen(52));
    const third = await fixture.guest.connect(52);
    await until(() => streams.length === 3);
    third.destroy();
  });

  test("a VM that is full has no port open at all", async () => {
    await using fixture = await openBroker({ limits: { concurrent: 1 } });
    const met = Promise.withResolvers<Duplex>();
    await fixture.broker.listen(52, (stream) => met.resolve(stream));
    await fixture.broker.listen(53, () => undefined);
    await fixture.guest.connect(52);
    await until(() => !fixture.guest.isOpen(52));
    // Shut by the first that is too many.
    await heard(await fixture.guest.connect(53));
    assert.ok(!fixture.guest.isOpen(53));
    assert.equal(fixture.broker.statistics.refused, 1);
    (await met.promise).destroy();
    await until(() => fixture.guest.isOpen(52) && fixture.guest.isOpen(53));
  });

  test("one that comes too fast waits for its turn", async () => {
    await using fixture = await openBroker();
    const at: number[] = [];
    await fixture.broker.listen(52, () => void at.push(performance.now()), {
      connectionRate: { perSecond: 50, burst: 1 },
    });
    for (let each = 0; each < 4; each++) await fixture.guest.connect(52);
    await until(() => at.length === 4);
    assert.ok(Number(at[3]) - Number(at[0]) >= 55, at.join(" "));
  });
});

describe("a guest that takes all it can get", () => {
  test("leaves the last places to the host", async () => {
    await using fixture = await openBroker({ limits: { concurrent: 16 } });
    fixture.guest.listen(1, () => undefined);
    let served = 0;
    await fixture.broker.listen(52, () => void served++);
    for (let each = 0; each < 14; each++) await fixture.guest.connect(52);
    await until(() => served === 14 && !fixture.guest.isOpen(52));
    await fixture.broker.connect(1);
    await fixture.broker.connect(1);
    await assert.rejects(fixture.broker.connect(1), code("vsock-limit"));
  });

  test("on a slow port takes no places from others, and comes no faster", async () => {
    await using fixture = await openBroker({ limits: { concurrent: 8 } });
    fixture.guest.listen(1, () => undefined);
    let served = 0;
    const count = (stream: Duplex) => {
      served++;
      stream.destroy();
    };
    await fixture.broker.listen(52, count, { connectionRate: { perSecond: 20, burst: 2 } });
    const began = performance.now();
    let tried = 0;
    while (performance.now() < began + 1_500) {
      tried++;
      await fixture.guest.connect(52).catch(() => new Promise((resolve) => setTimeout(resolve, 1)));
      assert.ok(fixture.broker.statistics.open <= 8);
    }
    (await fixture.broker.connect(1)).destroy();
    assert.ok(served >= 26 && served <= 33, `${served} of ${tried} in 1.5 s at 20 a second`);
  });
});

describe("a broker that is closed", () => {
  test("ends its streams, closes its ports and takes no more", async () => {
    await using fixture = await openBroker({}, {});
    fixture.guest.listen(1, () => undefined);
    const stream = await fixture.broker.connect(1);
    await fixture.broker.listen(52, () => undefined);
    const socket: Socket = await fixture.guest.connect(52);
    fixture.broker[Symbol.dispose]();
    await once(stream, "close");
    assert.equal(await heard(socket), "");
    await assert.rejects(fixture.guest.connect(52), /ENOENT/);
    await assert.rejects(fixture.broker.connect(1), code("wrong-state"));
    assert.deepEqual(fixture.warnings, []);
  });
});

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, "not in time");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
