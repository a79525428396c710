import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MetricsStream } from "./metrics-stream.ts";

/** A line as Firecracker 1.12.1 writes it, without the members that nobody reads. */
const line = (members: object) => `${JSON.stringify({ utc_timestamp_ms: 1_795_362_516_147, ...members })}\n`;
const block = (read: number) => ({ block: { activate_fails: 0, read_bytes: read, write_bytes: 2, read_count: 3 } });

function stream(at: { ms: number } = { ms: 0 }): MetricsStream {
  return new MetricsStream(() => at.ms);
}

describe("Firecracker's metrics", () => {
  test("are summed over lines, as each line tells what was counted since the one before", () => {
    const metrics = stream();
    metrics.push(Buffer.from(line(block(10))));
    metrics.push(
      Buffer.from(
        line({ ...block(5), net: { rx_bytes_count: 7, tx_bytes_count: 8, rx_packets_count: 9, tx_packets_count: 1 } }) +
          line({ seccomp: { num_faults: 2 } }),
      ),
    );
    assert.deepEqual(metrics.totals, {
      blockReadBytes: 15,
      blockWrittenBytes: 4,
      blockReads: 6,
      blockWrites: 0,
      networkReceivedBytes: 7,
      networkSentBytes: 8,
      networkReceivedPackets: 9,
      networkSentPackets: 1,
      seccompFaults: 2,
    });
    assert.deepEqual([metrics.taken, metrics.refused], [3, 0]);
  });

  test("mean the same wherever the bytes are cut", () => {
    const bytes = Buffer.from(line(block(1)) + line(block(20)) + line(block(300)));
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 20 }), (cuts) => {
        const metrics = stream();
        const ends = [...cuts.toSorted((left, right) => left - right), bytes.length];
        for (const [index, end] of ends.entries()) metrics.push(bytes.subarray(ends[index - 1] ?? 0, end));
        assert.equal(metrics.totals.blockReadBytes, 321);
      }),
    );
  });

  test("that are not of Firecracker's form are refused, and the next line counts again", () => {
    const wrong = [
      "\n",
      "null\n",
      "[]\n",
      "{\n",
      "{}\n",
      line({ block: { read_bytes: -1 } }),
      line({ block: { read_bytes: 1.5 } }),
      line({ block: { read_bytes: "1" } }),
      line({ block: { read_bytes: 2 ** 60 } }),
      line({ block: null }),
    ];
    for (const text of wrong) {
      const metrics = stream();
      metrics.push(Buffer.from(text));
      assert.deepEqual([metrics.taken, metrics.refused], [0, 1], text);
      metrics.push(Buffer.from(line(block(1))));
      assert.equal(metrics.totals.blockReadBytes, 1);
    }
  });

  test("never grow over one line, however long a line is", () => {
    const metrics = stream();
    for (let megabyte = 0; megabyte < 64; megabyte++) metrics.push(Buffer.alloc(1024 * 1024, 0x20));
    metrics.push(Buffer.from(`{}\n${line(block(1))}`));
    assert.deepEqual([metrics.taken, metrics.refused, metrics.totals.blockReadBytes], [1, 1, 1]);
  });

  test("that come faster than Firecracker writes them are refused unread", () => {
    const clock = { ms: 0 };
    const metrics = stream(clock);
    metrics.push(Buffer.from(line(block(1)).repeat(100)));
    assert.deepEqual([metrics.taken, metrics.refused], [8, 92]);
    clock.ms = 2_500;
    metrics.push(Buffer.from(line(block(1)).repeat(100)));
    assert.equal(metrics.taken, 10);
    clock.ms = 1_000_000;
    metrics.push(Buffer.from(line(block(1)).repeat(100)));
    assert.equal(metrics.taken, 18);
  });

  test("stop at the largest whole number", () => {
    const metrics = stream();
    metrics.push(Buffer.from(line(block(Number.MAX_SAFE_INTEGER)).repeat(2)));
    assert.equal(metrics.totals.blockReadBytes, Number.MAX_SAFE_INTEGER);
  });

  test("take any bytes at all", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (chunks) => {
        const metrics = stream();
        for (const chunk of chunks) metrics.push(chunk);
        const newlines = chunks.flatMap((chunk) => [...chunk]).filter((byte) => byte === 0x0a).length;
        assert.equal(metrics.taken + metrics.refused, newlines);
      }),
    );
  });
});
