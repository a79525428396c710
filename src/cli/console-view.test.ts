import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FakeOutput } from "../../test/support/fake-terminal.ts";
import { ConsoleView } from "./console-view.ts";

const bytes = (text: string) => Buffer.from(text);

test("in a pipe the console comes byte for byte", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array()), (chunks) => {
      const output = new FakeOutput();
      const view = new ConsoleView(output);
      for (const chunk of chunks) view.show(chunk);
      view.breakLine();
      view.end();
      assert.deepEqual(output.bytes, Buffer.concat(chunks));
    }),
  );
});

test("on a terminal it comes without strings for the terminal", () => {
  const output = new FakeOutput({ isTTY: true });
  new ConsoleView(output).show(bytes("a\u001b]0;x\u0007b\n"));
  assert.equal(output.text, "ab\n");
});

test("on a terminal a line of Warder's own begins at a line's start", () => {
  const output = new FakeOutput({ isTTY: true });
  const view = new ConsoleView(output);
  view.breakLine();
  view.show(bytes("login: "));
  view.breakLine();
  view.breakLine();
  assert.equal(output.text, "login: \n");
});

test("colours are ended with the guest, where it used any", () => {
  const plain = new FakeOutput({ isTTY: true });
  const coloured = new FakeOutput({ isTTY: true });
  for (const [output, text] of [
    [plain, "x\n"],
    [coloured, "\u001b[31mx\n"],
  ] as const) {
    const view = new ConsoleView(output);
    view.show(bytes(text));
    view.end();
  }
  assert.equal(plain.text, "x\n");
  assert.equal(coloured.text, "\u001b[31mx\n\u001b[0m\u001b[?25h");
});

test("what a slow reader does not take is held as far as it fits, the rest is dropped and counted", async () => {
  const output = new FakeOutput();
  const view = new ConsoleView(output);
  view.show(bytes("taken "));
  output.stall();
  view.show(bytes("held "));
  view.show(Buffer.alloc(256 * 1024, "x"));
  view.show(bytes("dropped"));
  assert.equal(output.text, "taken ");
  assert.equal(view.droppedBytes, "held dropped".length);
  output.resume();
  await output.ready();
  view.show(bytes(" again"));
  view.end();
  assert.match(output.text, /^taken held x+ again$/);
});

test("what is held when the guest has ended is shown all the same", () => {
  const output = new FakeOutput();
  const view = new ConsoleView(output);
  output.stall();
  view.show(bytes("last words"));
  view.end();
  assert.equal(output.text, "last words");
});
