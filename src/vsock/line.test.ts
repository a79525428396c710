import assert from "node:assert/strict";
import { PassThrough, Readable } from "node:stream";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { NoLine, readLine } from "./line.ts";

const never = new AbortController().signal;

/** A stream that gives these pieces, some of them later. */
async function* slowly(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const [index, piece] of pieces.entries()) {
    if (index % 2 === 1) await turn();
    yield piece;
  }
}

describe("readLine()", () => {
  test("reads a line, however it comes in pieces, and leaves the rest as it is", async () => {
    const texts = fc.stringMatching(/^[ -~]{0,20}$/);
    await fc.assert(
      fc.asyncProperty(texts, texts, fc.integer({ min: 1, max: 7 }), async (line, rest, size) => {
        const whole = Buffer.from(`${line}\n${rest}`);
        const pieces = Array.from({ length: Math.ceil(whole.length / size) }, (_none, index) =>
          whole.subarray(index * size, (index + 1) * size),
        );
        const stream = new PassThrough();
        Readable.from(slowly(pieces), { objectMode: false }).pipe(stream);
        assert.equal(await readLine(stream, 32, never), line);
        const left: Buffer[] = [];
        for await (const chunk of stream) left.push(chunk as Buffer);
        assert.equal(Buffer.concat(left).toString(), rest);
      }),
    );
  });

  test("refuses what has no end, and what ends without", async () => {
    const long = new PassThrough();
    long.write("x".repeat(32));
    await assert.rejects(readLine(long, 32, never), (error) => error instanceof NoLine && !error.ended);
    const late = new PassThrough();
    late.write(`${"x".repeat(32)}\n`);
    await assert.rejects(readLine(late, 32, never), (error) => error instanceof NoLine && !error.ended);
    const short = new PassThrough();
    short.end("half");
    await assert.rejects(readLine(short, 32, never), (error) => error instanceof NoLine && error.ended);
    await assert.rejects(readLine(short, 32, never), (error) => error instanceof NoLine && error.ended);
    const closed = new PassThrough();
    const reading = readLine(closed, 32, never);
    closed.destroy();
    await assert.rejects(reading, (error) => error instanceof NoLine && error.ended);
  });

  test("fails as the stream fails, and when it is given up", async () => {
    const broken = new PassThrough();
    const reading = readLine(broken, 32, never);
    broken.destroy(new Error("reset"));
    await assert.rejects(reading, /reset/);
    await assert.rejects(readLine(broken, 32, never), /reset/);
    const caller = new AbortController();
    const waiting = readLine(new PassThrough(), 32, caller.signal);
    caller.abort(new Error("enough"));
    await assert.rejects(waiting, /enough/);
    await assert.rejects(readLine(new PassThrough(), 32, caller.signal), /enough/);
  });
});
