import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { realClock } from "../host/real/clock.ts";
import { CHANGES_KEPT } from "../store/changes.ts";
import { Store } from "../store/store.ts";
import type { VmChange } from "../vm/change.ts";
import { isWarderError } from "../vm/error.ts";
import { toVmId, type VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import { ChangeFeed } from "./change-feed.ts";

const directory = fs.mkdtempSync(join(tmpdir(), "warder-feed-"));
const feeds: ChangeFeed[] = [];
after(() => {
  for (const feed of feeds) feed.close();
  fs.rmSync(directory, { recursive: true, force: true });
});
let count = 0;
const fresh = () => join(directory, `${++count}.db`);
const signal = new AbortController().signal;

/** Only what the store looks at. */
const record = (id: VmId) =>
  ({ id, state: "created", generation: 0, incarnation: 0, createdAt: ++count, history: [] }) as unknown as VmRecord;

function openFeed(log: Store["changes"]): ChangeFeed {
  const feed = new ChangeFeed(log, realClock);
  feeds.push(feed);
  return feed;
}

/** A VM that comes and goes: two changes. */
function comeAndGo(store: Store, name = "vm-1"): void {
  store.add(record(toVmId(name)));
  store.forget(toVmId(name), "by request");
}

/** The next changes that a watcher gets. */
async function take(watcher: AsyncIterator<VmChange>, most: number): Promise<VmChange[]> {
  const changes: VmChange[] = [];
  while (changes.length < most) {
    const { value, done } = await watcher.next();
    if (done === true) break;
    changes.push(value);
  }
  return changes;
}

const failsWith = (code: string, text: RegExp) => (error: unknown) => {
  assert.ok(isWarderError(error), String(error));
  assert.equal(error.code, code);
  assert.match(error.message, text);
  return true;
};

describe("a watcher", () => {
  test("sees what was, and then what comes, once and in order", async () => {
    using store = Store.open(fresh());
    const feed = openFeed(store.changes);
    comeAndGo(store);
    const watcher = feed.watch({ after: 0, signal });
    const [created, removed] = await take(watcher, 2);
    assert.deepEqual(
      [created, removed].map((each) => [each?.sequence, each?.id, each?.previous, each?.state, each?.reason]),
      [
        [1, "vm-1", null, "created", undefined],
        [2, "vm-1", "created", "removed", "by request"],
      ],
    );
    assert.ok(Math.abs((created?.at ?? 0) - Date.now()) < 60_000);
    const next = take(watcher, 2);
    comeAndGo(store, "vm-2");
    assert.deepEqual(
      (await next).map(({ sequence, id }) => [sequence, id]),
      [
        [3, "vm-2"],
        [4, "vm-2"],
      ],
    );
    await watcher.return(undefined as never);
  });

  test("sees what another process does, within 100 ms", async () => {
    const path = fresh();
    using here = Store.open(path);
    using elsewhere = Store.open(path);
    const feed = openFeed(here.changes);
    const watcher = feed.watch({ after: 0, signal });
    const lags: number[] = [];
    for (let round = 0; round < 5; round++) {
      const seen = take(watcher, 2);
      await realClock.sleep(7);
      const began = performance.now();
      comeAndGo(elsewhere);
      await seen;
      lags.push(performance.now() - began);
    }
    assert.ok(Math.min(...lags) < 100, lags.join(" "));
    await watcher.return(undefined as never);
  });

  test("goes on after a restart where it was, without gaps or doubles, wherever it stopped", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(6), { maxLength: 12 }), async (reads) => {
        const path = fresh();
        let cursor = 0;
        const seen: number[] = [];
        for (const most of reads) {
          using store = Store.open(path);
          comeAndGo(store);
          const feed = openFeed(store.changes);
          const left = store.changes.bounds().newest - cursor;
          const watcher = feed.watch({ after: cursor, signal });
          const changes = await take(watcher, Math.min(most, left));
          seen.push(...changes.map(({ sequence }) => sequence));
          cursor = seen.at(-1) ?? 0;
          await watcher.return(undefined as never);
        }
        assert.deepEqual(
          seen,
          Array.from({ length: cursor }, (_each, index) => index + 1),
        );
      }),
      { numRuns: 15 },
    );
  });

  test("that is too slow is told so, and what to do", async () => {
    using store = Store.open(":memory:");
    const feed = openFeed(store.changes);
    const watcher = feed.watch({ after: 0, signal });
    comeAndGo(store);
    assert.equal((await take(watcher, 1))[0]?.sequence, 1);
    store.transaction(() => {
      for (let round = 0; round < CHANGES_KEPT; round++) comeAndGo(store);
    });
    const { before, newest } = store.changes.bounds();
    assert.ok(newest - before >= CHANGES_KEPT && newest - before < CHANGES_KEPT + 100, `${newest - before}`);
    // What it has begun to read it may finish.
    await assert.rejects(take(watcher, 1_000), failsWith("gone", /not kept any more. Take the cursor of now, list/));
    await assert.rejects(take(feed.watch({ after: before - 1, signal }), 1), failsWith("gone", /./));
    const fine = feed.watch({ after: before, signal });
    assert.equal((await take(fine, 1))[0]?.sequence, before + 1);
  });

  test("with a cursor of another state directory is told so", async () => {
    using store = Store.open(":memory:");
    const feed = openFeed(store.changes);
    await assert.rejects(take(feed.watch({ after: 7, signal }), 1), failsWith("gone", /another state directory/));
  });

  test("of one VM sees no other, and does not fall behind for what the others do", async () => {
    using store = Store.open(":memory:");
    const feed = openFeed(store.changes);
    const watcher = feed.watch({ after: 0, id: toVmId("mine"), signal });
    const first = take(watcher, 1);
    comeAndGo(store, "mine");
    assert.deepEqual(
      (await first).map(({ id }) => id),
      ["mine"],
    );
    assert.equal((await take(watcher, 1))[0]?.state, "removed");
    const next = take(watcher, 1);
    for (let batch = 0; batch < 4; batch++) {
      store.transaction(() => {
        for (let round = 0; round < CHANGES_KEPT / 4; round++) comeAndGo(store, "other");
      });
      await realClock.sleep(1);
    }
    comeAndGo(store, "mine");
    assert.equal((await next)[0]?.state, "created");
  });

  test("ends with its signal, and with the feed", async () => {
    using store = Store.open(":memory:");
    const feed = openFeed(store.changes);
    const caller = new AbortController();
    const mine = take(feed.watch({ after: 0, signal: caller.signal }), 1);
    const other = take(feed.watch({ after: 0, signal }), 1);
    caller.abort();
    await assert.rejects(mine, failsWith("aborted", /watching VMs/));
    feed.close();
    await assert.rejects(other, failsWith("aborted", /watching VMs/));
  });

  test("holds one page in memory, however many changes there are", async () => {
    using store = Store.open(":memory:");
    store.transaction(() => {
      for (let round = 0; round < 400; round++) comeAndGo(store);
    });
    const limits: number[] = [];
    const log = Object.create(store.changes, {
      read: {
        value: (query: Parameters<typeof store.changes.read>[0]) => {
          limits.push(query.limit);
          return store.changes.read(query);
        },
      },
      bounds: { value: () => store.changes.bounds() },
      subscribe: { value: () => () => undefined },
      isChangedElsewhere: { value: () => false },
    });
    const feed = openFeed(log);
    const watcher = feed.watch({ after: 0, signal });
    assert.equal((await take(watcher, 800)).at(-1)?.sequence, 800);
    assert.ok(limits.length >= 4 && Math.max(...limits) <= 256, limits.join(" "));
  });
});
