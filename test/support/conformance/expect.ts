/** What a failure looks like, in the words of each release. */
import assert from "node:assert/strict";
import type { Result } from "./bench.ts";
import { panics, type Subject } from "./subject.ts";

/** A line of Firecracker's log. */
export const LOG_LINE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9} \[[^\]:]+:(main|fc_api|fc_vcpu 0)\] /;

/** The jailer refused its arguments: exit code 1 in all releases. */
export function assertArgumentError(result: Result, message: string, debug: string): void {
  assert.equal(result.stderr, `Failed to parse arguments: ${message}\nError: ArgumentParsing(${debug})\n`);
  assert.deepEqual({ code: result.code, signal: result.signal }, { code: 1, signal: null });
  assert.equal(result.stdout, "");
}

/** The jailer failed later: until 1.12 by a panic, from 1.13 with exit code 1 and other words around the message. */
export function assertJailerError(subject: Subject, result: Result, message: string, debug: string): void {
  const { code, signal, stderr } = result;
  if (panics(subject)) {
    assert.equal(jailerMessage(stderr), message);
    assert.deepEqual({ code, signal }, { code: null, signal: "SIGABRT" });
  } else {
    assert.equal(stderr, `${message}\nError: ${debug}\n`);
    assert.deepEqual({ code, signal }, { code: 1, signal: null });
  }
}

function jailerMessage(stderr: string): string | undefined {
  return /^\nthread 'main' panicked at src\/jailer\/[^\n]*\nJailer error: (.*)\nnote: /s.exec(stderr)?.[1];
}

/** Firecracker ended with an error of its own: in the log, and in debug form on standard error. */
export function assertFirecrackerError(result: Result, code: number, message: string, debug: string): void {
  assert.equal(result.stderr, `Error: ${debug}\n`);
  const messages = result.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.replace(LOG_LINE, ""));
  assert.deepEqual(messages.slice(-2), [message, `Firecracker exiting with error. exit_code=${code}`]);
  assert.deepEqual({ code: result.code, signal: result.signal }, { code, signal: null });
}

const NAMES: Readonly<Record<number, readonly [kind: string, message: string]>> = {
  2: ["NotFound", "No such file or directory"],
  13: ["PermissionDenied", "Permission denied"],
  17: ["AlreadyExists", "File exists"],
  20: ["NotADirectory", "Not a directory"],
  22: ["InvalidInput", "Invalid argument"],
  26: ["ExecutableFileBusy", "Text file busy"],
};

/** An operating-system error in both of Rust's forms. */
export function osError(code: number): { readonly display: string; readonly debug: string } {
  const [kind = "", message = ""] = NAMES[code] ?? [];
  return {
    display: `${message} (os error ${code})`,
    debug: `Os { code: ${code}, kind: ${kind}, message: "${message}" }`,
  };
}
