import assert from "node:assert/strict";
import { test } from "node:test";
import { WarderError } from "../vm/error.ts";
import { reviveError, toErrorDocument } from "./monitor-task.ts";

test("an error comes out of the monitor as it went in", () => {
  const error = new WarderError("isolation-gap", {
    doing: "proving the isolation of vm-1",
    why: "one control is not what was asked for",
    cure: "See `warder doctor`",
    fields: [{ field: "uid", problem: "wanted 1, found 0" }],
    cleanup: [new Error("a cgroup stays")],
  });
  const revived = reviveError(JSON.parse(JSON.stringify(toErrorDocument(error))) as Record<string, unknown>);
  assert.equal(revived.code, "isolation-gap");
  assert.equal(revived.message, error.message);
  assert.deepEqual(revived.toJSON(), error.toJSON());
});

test("what is no error of Warder's becomes an internal one", () => {
  assert.equal(toErrorDocument(new TypeError("x")).code, "internal");
  const revived = reviveError({ code: "made-up" }, new Error("cause"));
  assert.deepEqual([revived.code, revived.why], ["internal", "its monitor did not say"]);
  assert.ok(revived.cause instanceof Error);
});
