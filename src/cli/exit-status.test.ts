import assert from "node:assert/strict";
import { test } from "node:test";
import type { ExitCause, VmExit } from "../vm/exit.ts";
import { exitStatusOf } from "./exit-status.ts";

const exit = (cause: ExitCause, ended: Partial<VmExit> = {}): VmExit => ({
  code: null,
  signal: null,
  evidence: [],
  at: 0,
  cause,
  ...ended,
});

for (const [what, vmExit, status] of [
  ["a clean end", exit("guest-ended", { code: 0 }), 0],
  ["a clean end after which Firecracker hung", exit("guest-ended", { signal: "SIGKILL" }), 0],
  ["an adopted VM's clean end", exit("guest-ended"), 0],
  ["a stop in order", exit("stopped", { code: 0 }), 0],
  ["an adopted VM's stop in order", exit("stopped"), 0],
  ["SIGTERM", exit("killed", { signal: "SIGTERM" }), 143],
  ["SIGKILL", exit("killed", { signal: "SIGKILL" }), 137],
  ["a kernel panic", exit("guest-panic", { code: 0 }), 1],
  ["Firecracker's own failure", exit("firecracker-error", { code: 153 }), 153],
  ["a system call that is not allowed", exit("seccomp", { code: 148 }), 148],
  ["an end that nobody saw", exit("unknown"), 1],
] as const) {
  test(`${what} ends with ${status}`, () => assert.equal(exitStatusOf(vmExit), status));
}
