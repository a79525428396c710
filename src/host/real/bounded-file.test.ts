import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { parseLosses, RotatingFile } from "./bounded-file.ts";
import { openHost } from "./host.ts";

const directory = fs.mkdtempSync(join(tmpdir(), "warder-bounded-"));
after(() => fs.rmSync(directory, { recursive: true, force: true }));
let count = 0;
const fresh = () => join(directory, `file-${++count}`);
const { files } = openHost();

/** What is kept, oldest first. */
const kept = (path: string) =>
  [`${path}.1`, path].map((each) => (fs.existsSync(each) ? fs.readFileSync(each, "latin1") : "")).join("");

/** A stream in which every byte tells where it stood, as far as a few bytes can. */
const bytesFrom = (offset: number, length: number) =>
  Buffer.from(Array.from({ length }, (_each, index) => 33 + ((offset + index) % 89)));

describe("a bounded file", () => {
  test("keeps the newest bytes within its limit, and counts all the others, over any number of writers", async () => {
    const writers = fc.array(fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 12 }), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(writers, fc.integer({ min: 2, max: 400 }), async (sessions, limit) => {
        const path = fresh();
        let total = 0;
        for (const chunks of sessions) {
          const file = new RotatingFile(path, limit);
          for (const length of chunks) {
            file.append(bytesFrom(total, length));
            total += length;
            if (length % 3 === 0) await file.flush();
          }
          await file.close();
        }
        const text = kept(path);
        assert.ok(text.length <= limit, `${text.length} of ${limit}`);
        assert.equal(text, bytesFrom(total - text.length, text.length).toString("latin1"));
        assert.equal(files.lossesOf(path).droppedBytes, total - text.length);
      }),
      { numRuns: 60 },
    );
  });

  test("keeps no more in memory than it may, while a flood is faster than the disk", async () => {
    const path = fresh();
    const file = new RotatingFile(path, 16 * 1024 * 1024);
    const chunk = Buffer.alloc(64 * 1024, 120);
    const before = process.memoryUsage().arrayBuffers;
    // Nothing is written before this turn is over.
    for (let index = 0; index < 1_000; index++) file.append(Buffer.from(chunk));
    file.append(Buffer.from("the end"));
    await file.close();
    assert.ok(process.memoryUsage().arrayBuffers - before < 80 * 1024 * 1024);
    const text = kept(path);
    assert.ok(text.endsWith("the end"));
    assert.equal(file.droppedBytes, 1_000 * chunk.length + 7 - text.length);
    assert.ok(text.length < 1024 * 1024, "what waits is bounded");
  });

  test("goes on once the disk takes something again, and counts what it did not take", async () => {
    const path = join(directory, "later", "file");
    const file = new RotatingFile(path, 1_000);
    file.append(Buffer.from("lost"));
    await file.flush();
    assert.match(String(file.error), /ENOENT/);
    fs.mkdirSync(join(directory, "later"));
    file.append(Buffer.from("kept"));
    await file.close();
    assert.equal(file.error, undefined);
    assert.equal(kept(path), "kept");
    assert.deepEqual(files.lossesOf(path), { droppedBytes: 4, gaps: 0 });
  });

  test("counts gaps, of which nobody knows how much they were, over any number of writers", async () => {
    const path = fresh();
    for (let writer = 0; writer < 2; writer++) {
      const file = new RotatingFile(path, 1_000);
      file.noteGap();
      file.append(Buffer.from("x"));
      await file.close();
    }
    assert.deepEqual(files.lossesOf(path), { droppedBytes: 0, gaps: 2 });
    assert.equal(kept(path), "xx");
  });

  test("has lost nothing where nothing was counted, or what is there is no count", () => {
    assert.deepEqual(files.lossesOf(fresh()), { droppedBytes: 0, gaps: 0 });
    for (const text of ["", "1", "1 2", "-1 2\n", "1 2\n\n", "x y\n", "1e3 1\n"]) {
      assert.deepEqual(parseLosses(text), { droppedBytes: 0, gaps: 0 }, JSON.stringify(text));
    }
    const path = fresh();
    fs.symlinkSync("/etc/passwd", `${path}.lost`);
    assert.deepEqual(files.lossesOf(path), { droppedBytes: 0, gaps: 0 });
  });
});
