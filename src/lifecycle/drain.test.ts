import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import type { BoundedFile } from "../host/host.ts";
import { Drain } from "./drain.ts";

class Kept implements BoundedFile {
  text = "";
  closed = false;
  droppedBytes = 0;
  error: unknown;
  append(chunk: Uint8Array): void {
    this.text += Buffer.from(chunk).toString();
  }
  gaps = 0;
  noteGap(): void {
    this.gaps++;
  }
  flush(): Promise<void> {
    return Promise.resolve();
  }
  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

function open(listener?: (chunk: Uint8Array) => void, wasUnread = false) {
  const source = new PassThrough({ highWaterMark: 128 * 1024 });
  const file = new Kept();
  return { source, file, drain: new Drain(source, file, { listener, wasUnread }) };
}

describe("a drain", () => {
  test("brings everything to file, listeners and tail, and closes the file at the end", async () => {
    const heard: string[] = [];
    const { source, file, drain } = open((chunk) => heard.push(Buffer.from(chunk).toString()));
    source.end("hello");
    await drain.firstByte;
    await drain.ended;
    assert.deepEqual([heard, file.text, drain.tail, file.closed], [["hello"], "hello", "hello", true]);
  });
  test("keeps the newest 8 KiB in memory, however much comes", async () => {
    const { source, drain } = open();
    for (let index = 0; index < 100; index++) source.write(Buffer.alloc(1024, 97 + (index % 26)));
    source.end("end");
    await drain.ended;
    assert.equal(drain.tail.length, 8192);
    assert.ok(drain.tail.endsWith("end"));
  });
  test("sees a pattern that comes in two pieces", async () => {
    const { source, drain } = open();
    const seen = drain.waitFor("Successfully started");
    source.write("Success");
    source.write("fully started");
    assert.equal(await seen, true);
    assert.equal(await drain.waitFor("Success"), true);
    source.destroy();
    assert.equal(await drain.waitFor("never"), false);
  });
  test("reads on where the file can not take it, and keeps why", async () => {
    const { source, file, drain } = open();
    file.error = new Error("no room");
    source.end("x");
    await drain.ended;
    assert.match(String(drain.fileError), /no room/);
    assert.equal(drain.tail, "x");
  });
  test("does not tell who has left", async () => {
    const heard: number[] = [];
    const { source, drain } = open();
    const leave = drain.subscribe((chunk) => heard.push(chunk.length));
    source.write("abc");
    await drain.firstByte;
    leave();
    source.end("de");
    await drain.ended;
    assert.deepEqual(heard, [3]);
  });
  test("says that something was lost before where the FIFO was full when it was taken over", async () => {
    for (const [bytes, wasUnread, gaps] of [
      [65_536, true, 1],
      [1_000, true, 0],
      [65_536, false, 0],
    ] as const) {
      const { source, file, drain } = open(undefined, wasUnread);
      source.write(Buffer.alloc(bytes));
      await drain.firstByte;
      source.end(Buffer.alloc(65_536));
      await drain.ended;
      assert.deepEqual([bytes, file.gaps, file.text.length], [bytes, gaps, bytes + 65_536]);
    }
  });
});
