import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { lastLines, startOfTail } from "./tail.ts";

const tail = (text: string, lines: number) => text.slice(startOfTail(Buffer.from(text), lines));

test("the last lines are shown, one without its end included", () => {
  assert.equal(tail("a\nb\nc\n", 2), "b\nc\n");
  assert.equal(tail("a\nb\nc", 2), "b\nc");
  assert.equal(tail("a\n\n", 1), "\n");
  assert.equal(tail("a\nb\n", 9), "a\nb\n");
  assert.equal(tail("a\nb\n", 0), "");
  assert.equal(tail("", 3), "");
  assert.equal(tail("\n", 1), "\n");
});

test("it is as cutting at line ends gives it", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom("a", "b", "\n")), fc.integer({ min: 1, max: 8 }), (parts, lines) => {
      const text = parts.join("");
      const all = text.split(/(?<=\n)/).filter((line) => line !== "");
      assert.equal(tail(text, lines), all.slice(-lines).join(""));
    }),
  );
});

test("lines may be cut off between chunks", () => {
  const chunks = ["one\ntw", "o\nthree\n"].map((text) => Buffer.from(text));
  assert.equal(Buffer.from(lastLines(chunks, 2)).toString(), "two\nthree\n");
});
