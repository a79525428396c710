import assert from "node:assert/strict";
import { once } from "node:events";
import { type Duplex, duplexPair } from "node:stream";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FakeClock } from "../../test/support/fake-clock.ts";
import type { Bucket } from "./bucket.ts";
import { type HalfClose, LimitedStream } from "./limited-stream.ts";
import { Meter } from "./meter.ts";
import { Throttle } from "./throttle.ts";

const free: Bucket = { perSecond: 1e12, burst: 1e12 };

/** A stream over one end of a pair; the other end is the guest's. */
function limited(toGuest: Bucket, toHost: Bucket, halfClose: HalfClose = "pass") {
  const clock = new FakeClock();
  const [socket, guest] = duplexPair({ allowHalfOpen: true });
  const passed = { toGuest: 0, toHost: 0 };
  const stream = new LimitedStream(socket, {
    outgoing: new Throttle([new Meter(toGuest, clock)], (bytes) => {
      passed.toGuest += bytes;
    }),
    incoming: new Throttle([new Meter(toHost, clock)], (bytes) => {
      passed.toHost += bytes;
    }),
    halfClose,
  });
  return { clock, socket, guest, stream, passed };
}

/** Writes for ever, as fast as it is let. */
function flood(stream: Duplex): void {
  const chunk = Buffer.alloc(100_000);
  const write = () => {
    while (!stream.destroyed && stream.write(chunk));
  };
  stream.on("drain", write).on("error", () => undefined);
  write();
}

describe("LimitedStream", () => {
  test("moves the rate in ten seconds each way, within 2 %", async () => {
    const rates = fc.integer({ min: 100_000, max: 5_000_000 });
    await fc.assert(
      fc.asyncProperty(rates, rates, async (toGuest, toHost) => {
        const bucket = (perSecond: number) => ({ perSecond, burst: perSecond / 10 });
        const { clock, guest, stream, passed } = limited(bucket(toGuest), bucket(toHost));
        stream.resume();
        guest.resume();
        flood(stream);
        flood(guest);
        await clock.advance(10_000);
        stream.destroy();
        assert.ok(Math.abs(passed.toGuest / toGuest / 10 - 1) < 0.02, `${passed.toGuest} of ${toGuest * 10}`);
        assert.ok(Math.abs(passed.toHost / toHost / 10 - 1) < 0.02, `${passed.toHost} of ${toHost * 10}`);
      }),
      { numRuns: 3 },
    );
  });

  test("keeps bytes as they are, in any pieces", async () => {
    const { clock, guest, stream } = limited({ perSecond: 10_000, burst: 7 }, { perSecond: 10_000, burst: 3 });
    const said = Buffer.from("a text that is longer than any piece");
    const got: Buffer[] = [];
    const echoed: Buffer[] = [];
    guest.on("data", (chunk: Buffer) => {
      got.push(chunk);
      guest.write(chunk);
    });
    stream.on("data", (chunk: Buffer) => void echoed.push(chunk));
    stream.write(said);
    await clock.advance(1000);
    assert.deepEqual(Buffer.concat(got), said);
    assert.deepEqual(Buffer.concat(echoed), said);
    assert.ok(Math.max(...got.map((each) => each.length)) <= 7);
    stream.destroy();
  });

  test("reads no more than is asked for", async () => {
    const { clock, guest, stream, passed } = limited(free, free);
    flood(guest);
    stream.read(0);
    await clock.advance(1000);
    const held = passed.toHost;
    assert.ok(held <= 300_000, `${held} bytes are held`);
    await clock.advance(1000);
    assert.equal(passed.toHost, held);
    stream.destroy();
  });

  test("takes no more than may pass", async () => {
    const { clock, guest, stream, passed } = limited({ perSecond: 1000, burst: 1000 }, free);
    guest.resume();
    assert.equal(stream.write(Buffer.alloc(200_000)), false);
    await clock.advance(500);
    assert.equal(passed.toGuest, 1000 + 500);
    stream.destroy();
  });

  test("ends waiting when it is destroyed", async () => {
    const { clock, socket, stream } = limited({ perSecond: 1, burst: 1 }, { perSecond: 1, burst: 1 });
    stream.on("error", () => undefined).write("waits");
    await clock.advance(1);
    stream.destroy();
    await clock.advance(1);
    assert.equal(clock.sleepers, 0);
    assert.ok(socket.destroyed);
  });

  test("that holds its end back closes when the guest has ended", async () => {
    const { socket, guest, stream } = limited(free, free, "hold");
    guest.resume();
    stream.end("last words");
    stream.resume();
    await once(stream, "finish");
    assert.ok(!guest.readableEnded);
    guest.end();
    await once(stream, "close");
    assert.ok(socket.destroyed);
  });

  test("that passes its end on is still read", async () => {
    const { guest, stream } = limited(free, free, "pass");
    stream.end();
    guest.resume();
    await once(guest, "end");
    guest.end("answer");
    const [data] = await once(stream, "data");
    assert.equal(String(data), "answer");
    await once(stream, "close");
  });

  test("fails as its socket fails", async () => {
    const { socket, stream } = limited(free, free);
    const failed = once(stream, "error");
    socket.destroy(new Error("reset"));
    assert.match(String((await failed)[0]), /reset/);
  });
});
