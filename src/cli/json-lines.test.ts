import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fakeTerminal } from "../../test/support/fake-terminal.ts";
import { JsonLines } from "./json-lines.ts";

function linesOf(chunks: readonly string[]): string[] {
  const terminal = fakeTerminal();
  const lines = new JsonLines(terminal, "console");
  for (const chunk of chunks) lines.show(Buffer.from(chunk));
  lines.end();
  return terminal.stdout.lines.map((line) => {
    const document = JSON.parse(line) as { source: string; line: string };
    assert.equal(document.source, "console");
    return document.line;
  });
}

test("each line is a document, without the serial port's carriage return", () => {
  assert.deepEqual(linesOf(["a\r\nb", "c\n", "d"]), ["a", "bc", "d"]);
});

test("where the output is cut makes no difference", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom("a", "ä", "\n", "\u001b[31m")), (parts) => {
      assert.deepEqual(linesOf(parts), linesOf([parts.join("")]));
    }),
  );
});

test("a line without an end comes in pieces", () => {
  const lines = linesOf(["x".repeat(150_000)]);
  assert.deepEqual(
    lines.map(({ length }) => length),
    [65_536, 65_536, 150_000 - 2 * 65_536],
  );
});
