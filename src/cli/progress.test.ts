import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeTerminal } from "../../test/support/fake-terminal.ts";
import { Progress } from "./progress.ts";

test("what is quick is not told", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const terminal = fakeTerminal({ isTTY: true });
  const progress = new Progress(terminal, "starting vm-1");
  t.mock.timers.tick(1_900);
  progress[Symbol.dispose]();
  assert.equal(terminal.stderr.text, "");
});

test("what takes long is told in one line, which goes away", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const terminal = fakeTerminal({ isTTY: true });
  const progress = new Progress(terminal, "starting vm-1");
  t.mock.timers.tick(2_000);
  progress.update("starting vm-1 (after launch)");
  t.mock.timers.tick(1_000);
  progress[Symbol.dispose]();
  progress[Symbol.dispose]();
  t.mock.timers.tick(5_000);
  assert.deepEqual(terminal.stderr.text.split("\r\u001b[K").slice(1), [
    "starting vm-1 … 2 s",
    "starting vm-1 (after launch) … 2 s",
    "starting vm-1 (after launch) … 3 s",
    "",
  ]);
  assert.equal(terminal.stdout.text, "");
});

test("another line takes its place, and it comes back", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const terminal = fakeTerminal({ isTTY: true });
  using progress = new Progress(terminal, "stopping vm-1, vm-2");
  progress.clear();
  t.mock.timers.tick(2_000);
  progress.clear();
  terminal.stderr.write("vm-1 ended\n");
  t.mock.timers.tick(500);
  const line = "\r\u001b[Kstopping vm-1, vm-2 … 2 s";
  assert.equal(terminal.stderr.text, `${line}\r\u001b[Kvm-1 ended\n${line}`);
});

test("in a pipe nothing is told", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const terminal = fakeTerminal();
  using _progress = new Progress(terminal, "starting vm-1");
  t.mock.timers.tick(10_000);
  assert.equal(terminal.stderr.text, "");
});
