import assert from "node:assert/strict";
import { once } from "node:events";
import * as fs from "node:fs";
import type { Duplex } from "node:stream";
import { describe, test } from "node:test";
import { heard, openBroker } from "../../test/support/broker-fixture.ts";
import { connectOwned } from "../host/real/connect.ts";
import { isWarderError } from "../vm/error.ts";
import { toHostPath } from "../vm/path.ts";

const code = (wanted: string) => (error: unknown) => isWarderError(error) && error.code === wanted;
const answer = (socket: Duplex) => void heard(socket).then((said) => socket.end(`heard ${said}`));

/** A bare connection to the control socket. */
function dial(directory: string): Promise<Duplex> {
  const through = toHostPath(`${directory}/v`);
  const path = toHostPath(`${through}/control`);
  return connectOwned({ path, through, owner: process.getuid?.() ?? 0 }, AbortSignal.timeout(5_000));
}

describe("another process", () => {
  test("connects to the guest, and ends each direction by itself where asked", async () => {
    await using fixture = await openBroker();
    fixture.guest.listen(5000, answer);
    const stream = await fixture.remote.connect(5000, { halfClose: "pass" });
    stream.end("question");
    assert.equal(await heard(stream), "heard question");
    assert.equal(fixture.broker.statistics.taken, 1);
  });

  test("gets the same refusals, with their reasons", async () => {
    await using fixture = await openBroker({ limits: { concurrent: 1 } });
    await assert.rejects(fixture.remote.connect(1), (error) => {
      assert.match(String(error), /nothing in the guest listens there.*Look whether/);
      return code("vsock-refused")(error);
    });
    fixture.guest.listen(1, () => undefined);
    const held = await fixture.remote.connect(1);
    await assert.rejects(fixture.broker.connect(1), code("vsock-limit"));
    await assert.rejects(fixture.remote.connect(1), code("vsock-limit"));
    held.destroy();
    await until(() => fixture.broker.statistics.open === 0);
  });

  test("that gives up, or ends, holds no place", async () => {
    await using fixture = await openBroker({}, { silent: true });
    await assert.rejects(fixture.remote.connect(1, { timeoutMs: 30 }), code("deadline-exceeded"));
    const caller = new AbortController();
    const attempt = fixture.remote.connect(1, { signal: caller.signal });
    await until(() => fixture.guest.asked.length === 2);
    caller.abort();
    await assert.rejects(attempt, code("aborted"));
    const stream = await dial(fixture.directory);
    stream.write('{"connect":1}\n');
    await until(() => fixture.guest.asked.length === 3);
    stream.destroy();
    await until(() => fixture.broker.statistics.open === 0);
  });

  test("listens, and takes every connection of the guest's", async () => {
    await using fixture = await openBroker();
    const listening = await fixture.remote.listen(52, answer);
    const sockets = await Promise.all([1, 2, 3].map(() => fixture.guest.connect(52)));
    for (const [index, socket] of sockets.entries()) socket.end(String(index));
    assert.deepEqual(await Promise.all(sockets.map(heard)), ["heard 0", "heard 1", "heard 2"]);
    await assert.rejects(fixture.remote.listen(52, answer), code("vsock-port-taken"));
    listening.close();
    await listening.closed;
    await until(() => !fixture.guest.isOpen(52));
  });

  test("a handler that fails ends its connection alone", async () => {
    await using fixture = await openBroker();
    let calls = 0;
    await fixture.remote.listen(52, () => {
      calls++;
      throw new Error("no good");
    });
    assert.equal(await heard(await fixture.guest.connect(52)), "");
    assert.equal(await heard(await fixture.guest.connect(52)), "");
    assert.equal(calls, 2);
  });

  test("learns that its port was closed", async () => {
    await using fixture = await openBroker();
    const listening = await fixture.remote.listen(52, answer);
    fixture.broker[Symbol.dispose]();
    await listening.closed;
  });

  test("is told that nobody serves the VM", async () => {
    await using fixture = await openBroker();
    fixture.control.close();
    await assert.rejects(fixture.remote.connect(1), code("wrong-state"));
    fs.rmSync(`${fixture.directory}/v`, { recursive: true });
    await assert.rejects(fixture.remote.listen(1, answer), code("wrong-state"));
  });
});

describe("the control socket", () => {
  test("is root's, or its manager's, alone", async () => {
    await using fixture = await openBroker();
    assert.equal(fs.statSync(`${fixture.directory}/v`).mode & 0o777, 0o700);
    assert.equal(fs.statSync(`${fixture.directory}/v/control`).mode & 0o777, 0o600);
  });

  test("answers what is no request with an error, and ends", async () => {
    await using fixture = await openBroker();
    const bad = ["\n", "{}\n", '{"connect":-1}\n', '{"take":99}\n', '{"connect":1,"x":2}\n', `${"x".repeat(5000)}\n`];
    for (const request of bad) {
      const stream = await dial(fixture.directory);
      stream.end(request);
      assert.match(await heard(stream), /^{"error":{"code":"[a-z-]+",/, request.slice(0, 40));
    }
    const silent = await dial(fixture.directory);
    silent.end();
    assert.match(await heard(silent), /error/);
  });

  test("ends its connections when it is closed", async () => {
    await using fixture = await openBroker();
    const stream = await dial(fixture.directory);
    const closed = once(stream.resume(), "end");
    await until(() => fixture.control !== undefined);
    stream.write('{"listen":52,"limits":{}}\n');
    await until(() => fixture.guest.isOpen(52));
    fixture.control.close();
    await closed;
    await until(() => !fixture.guest.isOpen(52));
  });
});

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, "not in time");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
