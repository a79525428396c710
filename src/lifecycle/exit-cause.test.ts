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

const killed = { code: null, signal: "SIGKILL" } as const;
const unseen = { code: null, signal: null } as const;

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
  [
    "the cgroup's memory",
    { exit: killed, oom: { kills: 1, isLimitMet: true } },
    "out-of-memory",
    /1 kill.* limit was met/,
  ],
  [
    "the cgroup's memory, status unseen",
    { exit: unseen, oom: { kills: 2, isLimitMet: true } },
    "out-of-memory",
    /2 kill/,
  ],
  [
    "the host's memory, by the VM's own counters",
    { exit: killed, oom: { kills: 1, isLimitMet: false } },
    "host-out-of-memory",
    /limit was not/,
  ],
  [
    "the host's memory, by the kernel's log",
    { exit: killed, oom: { kills: 1, isLimitMet: true }, oomKill: { scope: "host", text: "global_oom" } },
    "host-out-of-memory",
    /global_oom/,
  ],
  [
    "the memory of a cgroup above, of which only the kernel's log tells",
    { exit: killed, oomKill: { scope: "above", text: "oom_memcg=/system.slice" } },
    "host-out-of-memory",
    /system\.slice/,
  ],
  [
    "the cgroup's memory, by the kernel's log",
    { exit: killed, oom: { kills: 1, isLimitMet: false }, oomKill: { scope: "own", text: "oom_memcg=/jailer/vm-1" } },
    "out-of-memory",
    /jailer/,
  ],
  ["a filter's signal", { exit: { code: null, signal: "SIGSYS" } }, "seccomp", /SIGSYS/],
  [
    "a host that went down at once",
    { exit: unseen, isBootedSince: true, isUnseen: true },
    "host-reboot",
    /booted since/,
  ],
  [
    "a host that went down in order",
    { exit: { code: null, signal: "SIGTERM" }, isBootedSince: true },
    "host-reboot",
    /SIGTERM/,
  ],
  [
    "an end before the host went down",
    { exit: { code: 0, signal: null }, isBootedSince: true },
    "guest-ended",
    /status 0/,
  ],
  [
    "our SIGKILL before the host went down",
    { exit: killed, isBootedSince: true, endedBy: "sigkill" },
    "killed",
    /sigkill/,
  ],
  ["a guest that was faster than our SIGTERM", { endedBy: "sigterm" }, "stopped", /by itself/],
  ["a stranger who was faster than our SIGTERM", { exit: killed, endedBy: "sigterm" }, "killed-by-stranger", /sigterm/],
  ["our SIGKILL, status unseen", { exit: unseen, endedBy: "sigkill", isUnseen: true }, "killed", /no manager looked/],
  [
    "an error in the way of a shutdown",
    { exit: { code: 1, signal: null }, endedBy: "ctrl-alt-del" },
    "firecracker-error",
    /about to end it by ctrl-alt-del/,
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
    assert.equal(concludeExit(facts({ oom: { kills: 3, isLimitMet: true } })).cause, "guest-ended");
  });
  test("evidence holds nothing that could drive a terminal", () => {
    const { evidence } = concludeExit(
      facts({ exit: { code: 1, signal: null }, log: line("bad \u001b[2J\u0007 thing") }),
    );
    assert.doesNotMatch(evidence.join(""), /\p{Cc}/u);
  });
});
