import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openHost } from "../host/real/host.ts";
import { isWarderError, type WarderError } from "../vm/error.ts";
import type { ErrorCode } from "../vm/error-codes.ts";
import type { StoreFiles } from "./ballast.ts";
import { Database } from "./database.ts";
import { integrityProblems } from "./integrity.ts";
import { replaceDatabase } from "./replace.ts";

const { files } = openHost();
const top = fs.mkdtempSync(join(tmpdir(), "warder-database-"));
after(() => fs.rmSync(top, { recursive: true, force: true }));
let count = 0;

/** A directory of its own, as the state directory is one. */
function fresh(): string {
  const directory = join(top, String(++count));
  fs.mkdirSync(directory);
  return join(directory, "state.db");
}

const MIB = 1024 * 1024;
/** The same files on a disk with so much room. */
const withRoom = (bytes: () => number): StoreFiles => ({ ...files, freeBytes: bytes });

/** SQLite's word for a full disk, as it throws it. */
const full = () => Object.assign(new Error("database or disk is full"), { errcode: 13 });

const code = (wanted: ErrorCode) => (error: unknown) => {
  assert.ok(isWarderError(error), String(error));
  assert.equal(error.code, wanted, error.message);
  return true;
};

describe("room that is held back", () => {
  test("is there from the first opening on, where there is enough", () => {
    const path = fresh();
    const ballast = join(path, "../ballast");
    Database.open(
      path,
      withRoom(() => MIB),
    ).close();
    assert.equal(fs.existsSync(ballast), false);
    Database.open(
      path,
      withRoom(() => 100 * MIB),
    ).close();
    assert.equal(fs.statSync(ballast).size, MIB / 2);
  });

  test("is given up for what must be written, which is then done once more, and held back again later", () => {
    const path = fresh();
    const ballast = join(path, "../ballast");
    using database = Database.open(path, files);
    let attempts = 0;
    const outcome = database.transaction(() => {
      database.run("INSERT INTO lease_cursors VALUES ('x', '1')");
      if (++attempts === 1) throw full();
      return "done";
    });
    assert.deepEqual([outcome, attempts, fs.existsSync(ballast)], ["done", 2, false]);
    assert.equal(database.all("SELECT * FROM lease_cursors").length, 1);
    database.refillBallast();
    assert.equal(fs.existsSync(ballast), true);
  });

  test("is not given up for something new, nor twice", () => {
    const path = fresh();
    using database = Database.open(path, files);
    const begin = () =>
      database.transaction(() => {
        database.beginSomething("making a VM");
        throw full();
      });
    assert.throws(begin, /disk is full/);
    assert.equal(fs.existsSync(join(path, "../ballast")), true);
    const fail = () =>
      database.transaction(() => {
        throw full();
      });
    assert.throws(fail, /disk is full/);
    assert.throws(fail, /disk is full/);
  });

  test("something new is refused while there is little, and what goes on is not", () => {
    let room = 100 * MIB;
    using database = Database.open(
      fresh(),
      withRoom(() => room),
    );
    room = MIB;
    const begin = () => database.transaction(() => database.beginSomething("making a VM"));
    assert.throws(
      begin,
      (error) => code("disk-full")(error) && /making a VM: .* 1048576 bytes left/.test(String(error)),
    );
    database.transaction(() => database.run("INSERT INTO lease_cursors VALUES ('x', '1')"));
    room = 100 * MIB;
    begin();
  });
});

describe("a transaction", () => {
  test("in another one is part of it", () => {
    using database = Database.open(":memory:");
    assert.throws(() =>
      database.transaction(() => {
        database.transaction(() => database.run("INSERT INTO lease_cursors VALUES ('x', '1')"));
        assert.equal(database.isInside, true);
        throw new Error("no");
      }),
    );
    assert.equal(database.isInside, false);
    assert.deepEqual(database.all("SELECT * FROM lease_cursors"), []);
  });
  test("that SQLite refuses is told in Warder's words", () => {
    using database = Database.open(":memory:");
    assert.throws(() => database.run("INSERT INTO nowhere VALUES (1)"), code("store-failed"));
    assert.throws(() => database.get("SELECT nonsense"), code("store-failed"));
  });
});

describe("a damaged database", () => {
  /** Some pages of it, and none of its log. */
  function damage(path: string, from: number): void {
    {
      using database = Database.open(path, files);
      database.transaction(() => {
        for (let index = 0; index < 2_000; index++)
          database.run("INSERT INTO lease_cursors VALUES (?, '1')", `${index}-${"x".repeat(100)}`);
      });
    }
    const size = fs.statSync(path).size;
    const descriptor = fs.openSync(path, "r+");
    fs.writeSync(descriptor, Buffer.alloc(size - from, 0x55), 0, size - from, from);
    fs.closeSync(descriptor);
  }

  test("is known for one when it is opened, wherever the damage is", () => {
    for (const from of [0, 20, 4096, 3 * 4096 + 100]) {
      const path = fresh();
      damage(path, from);
      assert.throws(() => Database.open(path, files), code("store-damaged"), `from ${from}`);
      assert.notDeepEqual(integrityProblems(path), [], `from ${from}`);
    }
  });

  test("that is whole has no problem", () => {
    const path = fresh();
    Database.open(path, files).close();
    assert.deepEqual(integrityProblems(path), []);
  });

  test("is replaced under the hands of who has it open, whose next call goes to the new one", () => {
    const path = fresh();
    using first = Database.open(path, files);
    first.run("INSERT INTO lease_cursors VALUES ('old', '1')");
    const replacement = join(path, "../state-1.db");
    {
      using fresh = Database.open(replacement, files);
      fresh.run("INSERT INTO lease_cursors VALUES ('new', '2')");
    }
    const aside = replaceDatabase(files, path, "state-1.db", "1");
    const kinds = () => first.all("SELECT kind FROM lease_cursors").map(({ kind }) => kind);
    assert.deepEqual(kinds(), ["new"]);
    first.transaction(() => first.run("INSERT INTO lease_cursors VALUES ('more', '3')"));
    using second = Database.open(path, files);
    assert.equal(second.all("SELECT * FROM lease_cursors").length, 2);
    using old = Database.open(aside, files);
    assert.deepEqual(
      old.all("SELECT kind FROM lease_cursors").map(({ kind }) => kind),
      ["old"],
    );
    second.close();
    const again = join(path, "../state-2.db");
    Database.open(again, files).close();
    replaceDatabase(files, path, "state-2.db", "2");
    assert.deepEqual(kinds(), []);
    assert.equal(fs.readlinkSync(path), "state-2.db");
    assert.ok(fs.existsSync(`${path}.damaged-2`) && !fs.existsSync(replacement));
  });

  test("that was removed is not followed", () => {
    const path = fresh();
    using database = Database.open(path, files);
    fs.rmSync(path);
    database.run("INSERT INTO lease_cursors VALUES ('kept', '1')");
    assert.equal(database.all("SELECT * FROM lease_cursors").length, 1);
  });
});

test("a database whose files can not be made for want of room says so", () => {
  const path = fresh();
  fs.rmSync(join(path, ".."), { recursive: true });
  assert.throws(
    () =>
      Database.open(
        path,
        withRoom(() => 0),
      ),
    code("disk-full"),
  );
  const error = catching(() =>
    Database.open(
      path,
      withRoom(() => 100 * MIB),
    ),
  );
  assert.equal(error.code, "store-failed");
});

function catching(work: () => unknown): WarderError {
  try {
    work();
  } catch (error) {
    assert.ok(isWarderError(error));
    return error;
  }
  assert.fail("nothing was thrown");
}
