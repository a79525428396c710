import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeTerminal } from "../../test/support/fake-terminal.ts";
import type { VmExit } from "../vm/exit.ts";
import type { VmView } from "../vm/view.ts";
import { ConsoleView } from "./console-view.ts";
import { tellEnd, tellStart } from "./run-report.ts";

type Wishes = Parameters<typeof tellStart>[1];

const control = { name: "uid", phase: "held", wanted: "1", found: "1", ok: true } as const;
const view = {
  id: "vm-1",
  isolation: { level: "proven", policy: "strict", controls: [control], gaps: [] },
  timings: { totalMs: 23 },
  createdAt: new Date(0).toISOString(),
} as unknown as VmView;

const ended = (exit: Partial<VmExit>): VmView => ({
  ...view,
  exit: { cause: "guest-ended", code: 0, signal: null, evidence: ["exit status 0"], at: 1200, ...exit },
});

/** Both reports, one after the other, for a VM that is no probe. */
function told(wishes: Partial<Wishes>, end = ended({}), started = view) {
  const terminal = fakeTerminal();
  const console = new ConsoleView(terminal.stdout);
  const all: Wishes = { json: false, quiet: false, proof: false, detach: false, spec: { kernel: "/k" }, ...wishes };
  tellStart(started, all, terminal, console);
  const atStart = { stdout: terminal.stdout.text, stderr: terminal.stderr.text };
  tellEnd(end, all, terminal, console);
  return { atStart, stdout: terminal.stdout.text, stderr: terminal.stderr.lines };
}

test("a run is one line about the start and one about the end, both beside the console", () => {
  const { stdout, stderr } = told({});
  assert.equal(stdout, "");
  assert.deepEqual(stderr, ["vm-1 proven: 1 of 1 controls, 23 ms", "vm-1 ended after 1.2 s: guest-ended"]);
});

test("gaps are told one by one", () => {
  const report = {
    level: "degraded",
    policy: "degrade",
    controls: [control],
    gaps: ["gid: wanted 1, found 0"],
  } as const;
  const { stderr } = told({}, ended({}), { ...view, isolation: report });
  assert.deepEqual(stderr.slice(0, 2), ["vm-1 degraded: 1 of 1 controls, 23 ms", "  gap: gid: wanted 1, found 0"]);
});

test("an end that is not the guest's own is told with its evidence", () => {
  const { stderr } = told(
    {},
    ended({ cause: "out-of-memory", code: null, signal: "SIGKILL", evidence: ["1 kill\u001b"] }),
  );
  assert.deepEqual(stderr.slice(1), ["vm-1 ended after 1.2 s: out-of-memory (SIGKILL)", "  1 kill\\x1b"]);
});

test("with --proof the table comes at once, and the times at the end", () => {
  const { atStart, stdout } = told({ proof: true });
  assert.match(atStart.stdout, /^CONTROL[\s\S]*uid[\s\S]*1 of 1 controls/);
  assert.match(stdout, /STEP +TIME\ntotal +23\.00 ms/);
});

test("the built-in guest's table waits for its end, so that it stays in one piece", () => {
  const { atStart, stdout } = told({ proof: true, spec: { kernel: "probe" } });
  assert.deepEqual(atStart, { stdout: "", stderr: "" });
  assert.match(stdout, /CONTROL[\s\S]*STEP/);
});

test("in the background standard output is for the id alone", () => {
  const { atStart } = told({ proof: true, detach: true, spec: { kernel: "probe" } });
  assert.equal(atStart.stdout, "");
  assert.match(atStart.stderr, /CONTROL/);
});

test("in JSON the controls are in the document", () => {
  const { stdout, stderr } = told({ proof: true, json: true });
  assert.equal(stdout, "");
  assert.equal(stderr[0], "vm-1 proven: 1 of 1 controls, 23 ms");
});

test("quiet is quiet", () => assert.deepEqual(told({ quiet: true, proof: true }).stderr, []));

test("a console that was not shown whole is told", () => {
  const terminal = fakeTerminal();
  const console = new ConsoleView(terminal.stdout);
  terminal.stdout.stall();
  console.show(Buffer.alloc(256 * 1024 + 2048));
  tellEnd(
    ended({}),
    { json: false, quiet: false, proof: false, detach: false, spec: { kernel: "/k" } },
    terminal,
    console,
  );
  assert.match(terminal.stderr.text, /warder: 2 KiB of the console were not shown/);
});
