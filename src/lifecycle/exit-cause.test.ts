import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ExitCause } from "../vm/exit.ts";
import { concludeExit, type ExitFacts } from "./exit-cause.ts";

const line = (message: string) => `2026-11-22T12:26:06.784360522 [vm-1:main] ${message}\n`;
const facts = (given: Partial<ExitFacts>): ExitFacts => ({
  exit: { code: 0, signal: null },
  at: 5,
  log: "",
  console: "",
  ...given,
});

const cases: readonly (readonly [string, Partial<ExitFacts>, ExitCause, RegExp])[] = [
  ["a guest's reset", {}, "guest-ended", /exit status 0/],
  [
    "a kernel panic, which resets too",
    { console: "[ 1.0] Kernel panic - not syncing: Attempted to kill init!\n" },
    "guest-panic",
    /Attempted to kill init/,
  ],
  ["a triple fault", { log: line("Received KVM_EXIT_SHUTDOWN signal") }, "guest-crash", /KVM_EXIT_SHUTDOWN/],
  ["Ctrl-Alt-Del that worked", { endedBy: "ctrl-alt-del" }, "stopped", /ctrl-alt-del/],
  ["our SIGTERM", { exit: { code: null, signal: "SIGTERM" }, endedBy: "sigterm" }, "killed", /sigterm/],
  ["somebody's SIGKILL", { exit: { code: null, signal: "SIGKILL" } }, "killed-by-stranger", /SIGKILL/],
  ["a panic of Firecracker", { exit: { code: null, signal: "SIGABRT" } }, "firecracker-error", /panic/],
  [
    "a seccomp kill",
    { exit: { code: 148, signal: null }, log: line("Shutting down VM after intercepting a bad syscall (41).") },
    "seccomp",
    /148/,
  ],
  [
    "an error",
    { exit: { code: 1, signal: null }, log: line("RunWithApiError error: no") },
    "firecracker-error",
    /status 1/,
  ],
  ["a file size limit", { exit: { code: 151, signal: null } }, "firecracker-error", /SIGXFSZ/],
  ["the cgroup's memory", { exit: { code: null, signal: "SIGKILL" }, oomKills: 1 }, "out-of-memory", /1 kill/],
  [
    "the cgroup's memory, status unseen",
    { exit: { code: null, signal: null }, oomKills: 2 },
    "out-of-memory",
    /2 kill/,
  ],
  [
    "a hang after the guest's end",
    { exit: { code: null, signal: "SIGKILL" }, hung: true, log: line("Vmm is stopping.") },
    "guest-ended",
    /stopping/,
  ],
  [
    "an end that nobody saw, with a log",
    { exit: { code: null, signal: null }, log: line("Vmm is stopping.") },
    "guest-ended",
    /logged/,
  ],
  ["an end that nobody saw", { exit: { code: null, signal: null } }, "unknown", /no exit status/],
  [
    "an end that nobody saw, with an error",
    { exit: { code: null, signal: null }, log: line("RunWithApiError error: no") },
    "firecracker-error",
    /RunWithApiError/,
  ],
];

describe("concludeExit()", () => {
  for (const [what, given, cause, evidence] of cases) {
    test(`${what}: ${cause}`, () => {
      const exit = concludeExit(facts(given));
      assert.equal(exit.cause, cause);
      assert.match(exit.evidence.join("\n"), evidence);
      assert.equal(exit.at, 5);
    });
  }
  test("a guest can not make itself look killed for want of memory", () => {
    assert.equal(concludeExit(facts({ oomKills: 3 })).cause, "guest-ended");
  });
  test("evidence holds nothing that could drive a terminal", () => {
    const { evidence } = concludeExit(
      facts({ exit: { code: 1, signal: null }, log: line("bad \u001b[2J\u0007 thing") }),
    );
    assert.doesNotMatch(evidence.join(""), /\p{Cc}/u);
  });
});
