import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeTerminal } from "../../test/support/fake-terminal.ts";
import type { Control } from "../vm/isolation.ts";
import type { VmView } from "../vm/view.ts";
import { printProof, printTimings, proofRows, toneOf, verdict } from "./proof-table.ts";

const control = (name: string, phase: Control["phase"], found = "1", ok = true): Control => {
  return { name, phase, wanted: "1", found, ok };
};

const viewOf = (isolation: Partial<NonNullable<VmView["isolation"]>> | null): VmView => {
  const report = { level: "proven", policy: "strict", controls: [], gaps: [], ...isolation } as const;
  return { id: "vm-1", isolation: isolation === null ? null : report, timings: { planMs: 1.5, totalMs: 198 } } as never;
};

test("a control that came out the same in both phases is one row without a phase", () => {
  const rows = proofRows([control("uid", "held"), control("seccomp", "running"), control("uid", "running")]);
  assert.deepEqual(rows, [
    { name: "uid", wanted: "1", found: "1", ok: true },
    { name: "seccomp", wanted: "1", found: "1", ok: true },
  ]);
});

test("one that did not is a row for each phase, side by side", () => {
  const rows = proofRows([control("uid", "held"), control("gid", "held"), control("uid", "running", "0", false)]);
  assert.deepEqual(
    rows.map(({ name, phase, found }) => [name, phase, found]),
    [
      ["uid", "held", "1"],
      ["uid", "running", "0"],
      ["gid", undefined, "1"],
    ],
  );
});

test("the table ends with the verdict and every gap", () => {
  const terminal = fakeTerminal();
  const controls = [control("uid", "held"), control("uid", "running", "0", false)];
  printProof(terminal, viewOf({ level: "degraded", controls, gaps: ["uid: wanted 1, found 0"] }));
  assert.deepEqual(terminal.stdout.lines, [
    "CONTROL        WANTED  FOUND",
    "uid (held)     1       1      ok",
    "uid (running)  1       0      GAP",
    "vm-1 degraded: 1 of 2 controls, 198 ms",
    "gap: uid: wanted 1, found 0",
  ]);
});

test("long values are cut to the room there is, and none drives the terminal", () => {
  for (const [columns, width] of [
    [80, 24],
    [20, 16],
    [Number.POSITIVE_INFINITY, 60],
  ] as const) {
    const terminal = fakeTerminal({ columns });
    printProof(terminal, viewOf({ controls: [{ ...control("x", "held"), found: `\u001b${"y".repeat(100)}` }] }));
    const found = terminal.stdout.lines[1]?.split(/ +/)[2] ?? "";
    assert.equal(found.length, width);
    assert.ok(found.startsWith("\\x1by") && found.endsWith("…"));
  }
});

test("a VM that was not proven has no table", () => {
  const terminal = fakeTerminal();
  printProof(terminal, viewOf(null));
  assert.equal(terminal.stdout.text, "");
  assert.equal(verdict(viewOf(null), terminal.stdout), "vm-1 not proven, 198 ms");
});

test("levels look as good as they are", () => {
  assert.deepEqual((["proven", "partial", "degraded", "unjailed"] as const).map(toneOf), [
    "good",
    "warn",
    "bad",
    "bad",
  ]);
});

test("each step has its time", () => {
  const terminal = fakeTerminal();
  printTimings(terminal, viewOf(null));
  assert.deepEqual(terminal.stdout.lines, ["STEP   TIME", "plan       1.50 ms", "total    198.00 ms"]);
});
