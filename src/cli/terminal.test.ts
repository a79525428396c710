import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import fc from "fast-check";
import { FakeOutput, fakeTerminal } from "../../test/support/fake-terminal.ts";
import { formatTable, harmless, openTerminal, paint, printJson, printTable } from "./terminal.ts";

const stream = (facts: object) =>
  Object.assign(new EventEmitter(), { write: () => true, writableNeedDrain: false, ...facts });
const terminalStream = stream({ isTTY: true, columns: 80, hasColors: () => true });

test("a terminal is coloured where it can be and may be", () => {
  const coloured = openTerminal(terminalStream, stream({}), true);
  assert.deepEqual([coloured.stdout.color, coloured.stderr.color], [true, false]);
  assert.equal(openTerminal(terminalStream, terminalStream, false).stdout.color, false);
  const without = stream({ isTTY: true, hasColors: () => false });
  assert.equal(openTerminal(without, without, true).stdout.color, false);
});

test("a pipe has no width, a terminal has its own", () => {
  const { stdout, stderr } = openTerminal(terminalStream, stream({}), true);
  assert.equal(stdout.columns, 80);
  assert.equal(stderr.columns, Number.POSITIVE_INFINITY);
});

test("an output is ready when its reader has taken what there was, or never, where one gives up", async () => {
  const { signal } = new AbortController();
  await openTerminal(stream({}), stream({}), true).stdout.ready(signal);
  const full = stream({ writableNeedDrain: true });
  const { stdout } = openTerminal(full, full, true);
  assert.equal(stdout.isReady, false);
  const waiting = Promise.all([stdout.ready(signal), stdout.ready()]);
  full.emit("drain");
  await waiting;
  await assert.rejects(stdout.ready(AbortSignal.abort(new Error("enough"))), { name: "AbortError" });
});

test("only a coloured output is painted", () => {
  assert.equal(paint(new FakeOutput({ color: true }), "good", "ok"), "\u001b[32mok\u001b[39m");
  assert.equal(paint(new FakeOutput(), "good", "ok"), "ok");
});

/** Control characters but tab and line feed, and what turns text around. */
function isHarmful(char: string): boolean {
  const code = char.codePointAt(0) ?? 0;
  const isControl = (code < 0x20 && char !== "\n" && char !== "\t") || (code >= 0x7f && code <= 0x9f);
  return (
    isControl ||
    [0x200e, 0x200f].includes(code) ||
    (code >= 0x202a && code <= 0x202e) ||
    (code >= 0x2066 && code <= 0x2069)
  );
}

test("nothing that drives a terminal or turns text around is left of any text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      assert.deepEqual([...harmless(text)].filter(isHarmful), []);
    }),
  );
});

test("harmless text stays as it is, and the rest can be read", () => {
  assert.equal(harmless("a\tb\nGrüße 世界"), "a\tb\nGrüße 世界");
  assert.equal(harmless("\u001b[31m\u202e"), "\\x1b[31m\\u{202e}");
});

test("columns are aligned, colours not counted", () => {
  const red = "\u001b[31mx\u001b[39m";
  assert.deepEqual(
    formatTable(
      ["A", "BBB"],
      [
        [red, "1"],
        ["xx", "22"],
      ],
    ),
    ["A   BBB", `${red}   1`, "xx  22"],
  );
  assert.deepEqual(formatTable(["A", "B"], [["x"]]), ["A  B", "x"]);
});

test("every row of a table begins its columns at the same place", () => {
  const cell = fc.stringMatching(/^[a-z]{1,8}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell, cell), { minLength: 1 }), (rows) => {
      const lines = formatTable(["ONE", "TWO", "THREE"], rows);
      const start = lines[0]?.indexOf("THREE") ?? -1;
      for (const [index, row] of rows.entries()) assert.equal(lines[index + 1]?.slice(start), row[2]);
    }),
  );
});

test("a document takes one line, a table goes where it is sent", () => {
  const terminal = fakeTerminal();
  printJson(terminal, { text: "a\nb" });
  assert.deepEqual(terminal.stdout.lines, ['{"text":"a\\nb"}']);
  printTable(terminal, ["H"], [["x"]], terminal.stderr);
  assert.deepEqual(terminal.stderr.lines, ["H", "x"]);
});
