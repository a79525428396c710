import assert from "node:assert/strict";
import { test } from "node:test";
import { MonitorJournal } from "./monitor-journal.ts";

test("until the caller has its answer, warnings are for the caller", () => {
  const journal = new MonitorJournal();
  journal.note("a VM started", {});
  journal.warn("a gap", { vm_id: "vm-1" });
  assert.equal(journal.isOpen, false);
  assert.deepEqual(journal.takeWarnings(), [{ message: "a gap", details: { vm_id: "vm-1" } }]);
  assert.deepEqual(journal.takeWarnings(), []);
});

test("afterwards they go to a file, one line of JSON each", () => {
  const journal = new MonitorJournal(() => new Date(0));
  let written = "";
  journal.writeTo({ append: (chunk) => (written += Buffer.from(chunk)) });
  journal.warn("not removed", { error: "busy" });
  assert.equal(journal.isOpen, true);
  assert.equal(written, '{"time":"1970-01-01T00:00:00.000Z","message":"not removed","error":"busy"}\n');
});

test("a file that can not be written stops nobody", () => {
  const journal = new MonitorJournal();
  journal.writeTo({
    append() {
      throw new Error("ENOSPC");
    },
  });
  journal.warn("not removed", {});
});
