import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isWarderError, messageOf, systemCodeOf, WarderError } from "./error.ts";
import { errorCodes } from "./error-codes.ts";

const sample = () =>
  new WarderError("asset-missing", { doing: "staging /a", why: "it is not there", cure: "Check the path" });

describe("WarderError", () => {
  test("says what was being done, why it failed and what to do", () => {
    assert.equal(sample().message, "staging /a: it is not there. Check the path.");
  });
  test("lists all wrong fields", () => {
    const error = new WarderError("invalid-argument", {
      doing: "reading",
      why: "2 fields are wrong",
      fields: [
        { field: "id", problem: "must not be empty" },
        { field: "vcpus", problem: "must be at least 1" },
      ],
    });
    assert.equal(error.message, "reading: 2 fields are wrong\n  id: must not be empty\n  vcpus: must be at least 1");
    assert.deepEqual(error.toJSON().fields, error.fields);
  });
  test("keeps the failures of a clean-up beside the first error", () => {
    const error = sample()
      .withCleanup([new Error("rmdir")])
      .withCleanup([])
      .withCleanup(["umount"]);
    assert.equal(error.code, "asset-missing");
    assert.equal(error.cure, "Check the path");
    assert.deepEqual(error.toJSON().cleanup, ["rmdir", "umount"]);
  });
  test("carries no stack to the outside", () =>
    assert.deepEqual(Object.keys(sample().toJSON()), ["code", "message", "doing", "why", "cure"]));
  test("has the exit status of its code", () => {
    assert.equal(sample().exitStatus, 1);
    assert.equal(new WarderError("isolation-gap", { doing: "x", why: "y" }).exitStatus, 3);
    assert.equal(new WarderError("vm-not-found", { doing: "x", why: "y" }).exitStatus, 4);
    assert.equal(new WarderError("invalid-argument", { doing: "x", why: "y" }).exitStatus, 2);
  });
});

describe("WarderError.from()", () => {
  const system = (code: string) => Object.assign(new Error(`${code}: refused`), { code });
  const codeOf = (reason: unknown) => WarderError.from(reason, "internal", "doing it").code;
  test("passes errors of Warder unchanged", () => {
    const error = sample();
    assert.equal(WarderError.from(error, "internal", "x"), error);
  });
  test("knows a full disk, a refusal, an abort and a deadline", () => {
    assert.equal(codeOf(system("ENOSPC")), "disk-full");
    assert.equal(codeOf(new Error("outer", { cause: system("EDQUOT") })), "disk-full");
    assert.equal(codeOf(system("EPERM")), "permission-denied");
    assert.equal(codeOf(AbortSignal.abort().reason), "aborted");
    assert.equal(codeOf(new DOMException("late", "TimeoutError")), "deadline-exceeded");
  });
  test("keeps anything else as the cause of the fallback", () => {
    const error = WarderError.from("a string", "store-failed", "doing it");
    assert.equal(error.code, "store-failed");
    assert.equal(error.message, "doing it: a string");
    assert.equal(error.cause, "a string");
  });
});

describe("helpers", () => {
  test("isWarderError() knows errors of another copy of the package", () => {
    assert.ok(isWarderError({ [Symbol.for("warder.error")]: true }));
    assert.ok(!isWarderError(new Error("x")));
    assert.ok(!isWarderError(null));
  });
  test("systemCodeOf() does not follow a circle for ever", () => {
    const circle: { cause?: unknown } = {};
    circle.cause = circle;
    assert.equal(systemCodeOf(circle), undefined);
    assert.equal(systemCodeOf({ code: "ERR_SOMETHING" }), undefined);
  });
  test("messageOf() takes anything", () => assert.equal(messageOf(7), "7"));
  test("every code has a summary that is a sentence", () => {
    for (const [code, { summary }] of Object.entries(errorCodes)) assert.match(summary, /^[A-Z/].*\.$/, code);
  });
});
