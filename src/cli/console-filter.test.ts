import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ConsoleFilter } from "./console-filter.ts";

const filtered = (text: string): string => new ConsoleFilter().push(Buffer.from(text));

for (const [what, text] of [
  ["plain text", "hello\r\nworld\t!\b \u0007"],
  ["text in any language", "Grüße, 世界, 🚀"],
  ["colours", "\u001b[1;31mred\u001b[0m"],
  ["moves and clearing", "\u001b[2J\u001b[10;20H\u001b[K\u001b[?25l\u001b[?1049h"],
  ["short sequences", "\u001b7\u001b8\u001bM\u001b(B".replace("\u001b(B", "")],
] as const) {
  test(`${what} is left as it is`, () => assert.equal(filtered(text), text));
}

for (const [what, sequence] of [
  ["a title, ended by BEL", "\u001b]0;pwned\u0007"],
  ["a title, ended by ST", "\u001b]0;pwned\u001b\\"],
  ["the clipboard", "\u001b]52;c;cm0gLXJmIC8=\u0007"],
  ["a DCS", "\u001bP$q q\u001b\\"],
  ["an APC", "\u001b_Gf=100;AAAA\u001b\\"],
  ["a PM", "\u001b^x\u001b\\"],
  ["a SOS", "\u001bXx\u001b\\"],
  ["a string that is given up", "\u001b]0;x\u0018"],
  ["a question for the position", "\u001b[6n"],
  ["a question for the identity", "\u001b[c\u001b[>0c\u001bZ\u001b[>q"],
  ["a question for the title", "\u001b[21t"],
  ["a question for checksums, modes, keyboard", "\u001b[1;1;1;1;1;1*y\u001b[?1$p\u001b[?u"],
  ["ENQ", "\u0005"],
  ["C1 control characters", "\u0080\u009c\u009f"],
] as const) {
  test(`${what} is taken out, and what is around it stays`, () => assert.equal(filtered(`a${sequence}b`), "ab"));
}

test("a string ends with its line, so that nothing after it is hidden", () => {
  assert.equal(filtered("a\u001b]0;never ended\nb\r\nc"), "a\nb\r\nc");
});

test("a sequence that is broken off by another one is dropped", () => {
  assert.equal(filtered("a\u001b\u001b[31mb"), "a\u001b[31mb");
  assert.equal(filtered("a\u001b]x\u001b[31mb"), "a\u001b[31mb");
  assert.equal(filtered("a\u001b[31\nb"), "a\nb");
  assert.equal(filtered("a\u001b\nb"), "a\nb");
});

test("a sequence that is longer than any is dropped", () => {
  assert.equal(filtered(`a\u001b[${"1;".repeat(60)}mb`).startsWith("a"), true);
  assert.ok(!filtered(`a\u001b[${"1;".repeat(60)}mb`).includes("\u001b"));
});

test("where the bytes are cut makes no difference", () => {
  const pieces = fc.constantFrom("\u001b", "[", "]", "0;", "31m", "\u0007", "\\", "ä", "\u009b", "6n", "x", "\n", "🚀");
  fc.assert(
    fc.property(fc.array(pieces), fc.nat(), (parts, cut) => {
      const bytes = Buffer.from(parts.join(""));
      const at = bytes.length === 0 ? 0 : cut % bytes.length;
      const filter = new ConsoleFilter();
      const inTwo = filter.push(bytes.subarray(0, at)) + filter.push(bytes.subarray(at));
      assert.equal(inTwo, filtered(parts.join("")));
    }),
  );
});

test("whatever a guest prints, no string for the terminal, no C1 and no ENQ comes through", () => {
  const bytes = fc.array(fc.oneof(fc.constantFrom(0x1b, 0x5b, 0x5d, 0x50, 0x07, 0xc2, 0x9b), fc.nat(255)));
  fc.assert(
    fc.property(bytes, (given) => {
      const shown = [...new ConsoleFilter().push(Uint8Array.from(given))];
      const isString = (char: string, index: number) => shown[index - 1] === "\u001b" && "]P_^X".includes(char);
      const isC1 = (char: string) => char >= "\u0080" && char <= "\u009f";
      assert.deepEqual(
        shown.filter((char, index) => isString(char, index) || isC1(char) || char === "\u0005"),
        [],
      );
    }),
  );
});

test("it is known whether the guest has drawn anything", () => {
  const filter = new ConsoleFilter();
  filter.push(Buffer.from("plain\u001b]0;x\u0007"));
  assert.equal(filter.hasPassedSequence, false);
  filter.push(Buffer.from("\u001b[31m"));
  assert.equal(filter.hasPassedSequence, true);
});
