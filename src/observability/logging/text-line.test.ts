import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { textLine } from "./text-line.ts";

const TIME = "2026-01-02T15:04:05.123Z";

test("a line for people has time, level, message and details", () => {
  const line = {
    level: "warn",
    time: TIME,
    msg: "VM ended",
    vm_id: "vm-1",
    why: "out of memory",
    code: 0,
    gaps: ["uid"],
  };
  assert.equal(
    textLine(JSON.stringify(line)),
    '15:04:05.123 warn  VM ended vm_id=vm-1 why="out of memory" code=0 gaps=["uid"]\n',
  );
});

test("a line for people is one line, and steers no terminal, whatever is in it", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), fc.jsonValue(), (msg, text, value) => {
      const line = textLine(JSON.stringify({ level: "info", time: TIME, msg, text, value }));
      assert.match(line, /^[^\p{Cc}\p{Cf}\u2028\u2029]*\n$/u);
    }),
  );
  assert.equal(
    textLine(JSON.stringify({ level: "info", time: TIME, msg: "a\u001b[2Jb" })),
    "15:04:05.123 info  a [2Jb\n",
  );
});
