import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeTerminal } from "../../test/support/fake-terminal.ts";
import { WarderError } from "../vm/error.ts";
import { errorCodes } from "../vm/error-codes.ts";
import { explain, statusOf } from "./explain.ts";
import { Interrupted } from "./interruption.ts";

const error = new WarderError("invalid-argument", {
  doing: "reading the command line of run",
  why: "2 arguments are wrong",
  fields: [
    { field: "--memory", problem: "must be at least 128" },
    { field: "--id", problem: 'must not be "\u001b[31m"' },
  ],
  cure: "See `warder run --help`",
  cleanup: [new Error("one thing\nstays")],
});

test("people get what failed with its code, everything that is wrong, and what to do", () => {
  const terminal = fakeTerminal();
  explain(terminal, error, false);
  assert.equal(terminal.stdout.text, "");
  assert.deepEqual(terminal.stderr.lines, [
    "warder: reading the command line of run: 2 arguments are wrong [invalid-argument]",
    "  --memory: must be at least 128",
    '  --id: must not be "\\x1b[31m"',
    "  and while cleaning up: one thing",
    "    stays",
    "  See `warder run --help`.",
  ]);
});

test("programs get a document on standard output as well", () => {
  const terminal = fakeTerminal();
  explain(terminal, error, true);
  const document = JSON.parse(terminal.stdout.text) as { error: { code: string; fields: unknown[] } };
  assert.equal(document.error.code, "invalid-argument");
  assert.equal(document.error.fields.length, 2);
  assert.equal(terminal.stdout.lines.length, 1);
});

test("a defect is told with its stack", () => {
  const terminal = fakeTerminal();
  explain(terminal, new TypeError("x is not a function"), false);
  assert.match(
    terminal.stderr.text,
    /^warder: running the command: x is not a function \[internal\]\n {2}TypeError: x/,
  );
  assert.match(terminal.stderr.text, /explain\.test\.ts/);
});

test("what has been put into words needs no stack, unless a defect lies below", () => {
  const facts = { doing: "starting vm-1", why: "it broke" };
  const lines = [
    new WarderError("internal", facts),
    new WarderError("internal", { ...facts, cause: new TypeError("x") }),
  ].map((known) => {
    const terminal = fakeTerminal();
    explain(terminal, known, false);
    return terminal.stderr.lines;
  });
  assert.deepEqual(lines[0], ["warder: starting vm-1: it broke [internal]"]);
  assert.equal(lines[1]?.[1], "  TypeError: x");
});

test("something thrown that is no error is told too", () => {
  const terminal = fakeTerminal();
  explain(terminal, "just a text", false);
  assert.deepEqual(terminal.stderr.lines, ["warder: running the command: just a text [internal]"]);
});

test("a reader that has gone is not told so", () => {
  const terminal = fakeTerminal();
  explain(terminal, new Interrupted("SIGPIPE"), true);
  assert.equal(terminal.stdout.text + terminal.stderr.text, "");
});

test("each code has the exit status of its table", () => {
  for (const [code, { exitStatus }] of Object.entries(errorCodes)) {
    const thrown = new WarderError(code as keyof typeof errorCodes, { doing: "testing", why: "it is a test" });
    assert.equal(statusOf(thrown), exitStatus);
  }
});

test("an interruption has its signal's, however deep it lies", () => {
  const interrupted = new Interrupted("SIGINT");
  assert.equal(statusOf(interrupted), 130);
  const wrapped = WarderError.from(new Error("gave up", { cause: interrupted }), "internal", "starting vm-1");
  assert.equal(statusOf(wrapped), 130);
});
