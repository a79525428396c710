import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LOG_LINE_LIMIT, parseLogLine, recogniseConsoleLine, recogniseMessage } from "./log-line.ts";

describe("parseLogLine", () => {
  it("reads time, instance, thread and message", () => {
    assert.deepEqual(parseLogLine("2026-11-22T12:26:06.784360522 [t1:main] Running Firecracker v1.12.1"), {
      time: "2026-11-22T12:26:06.784360522",
      instance: "t1",
      thread: "main",
      message: "Running Firecracker v1.12.1",
    });
  });

  it("reads level and origin where they are shown", () => {
    const line = "2026-11-22T12:45:21.829136359 [exp-1:fc_vcpu 0:ERROR:src/vmm/src/vstate/vcpu.rs:391] Received [a]: b";
    assert.deepEqual(parseLogLine(line), {
      time: "2026-11-22T12:45:21.829136359",
      instance: "exp-1",
      thread: "fc_vcpu 0",
      level: "ERROR",
      origin: "src/vmm/src/vstate/vcpu.rs:391",
      message: "Received [a]: b",
    });
    assert.equal(parseLogLine("2026-11-22T12:46:08.0 [a:main:WARN] x")?.level, "WARN");
    assert.equal(parseLogLine("2026-11-22T12:46:08.0 [a:main:src/main.rs:315] x")?.origin, "src/main.rs:315");
  });

  it("is undefined for what is no line of the log", () => {
    for (const line of [
      "",
      "tick",
      "Unable to open or read from the configuration file: Os { code: 2 }",
      "2026-11-22 [a:b] c",
      "Error: RunWithApi(…)",
    ]) {
      assert.equal(parseLogLine(line), undefined, line);
    }
  });

  it("never throws, and looks at no more than its limit", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 200 }),
        (line) => (parseLogLine(line)?.message.length ?? 0) <= 200,
      ),
    );
    const long = parseLogLine(`2026-11-22T12:46:08.0 [a:main] ${"x".repeat(1_000_000)}`);
    assert.ok((long?.message.length ?? 0) < LOG_LINE_LIMIT);
  });

  it("gets back any message that the logger writes", () => {
    const word = fc.stringMatching(/^[A-Za-z0-9-]{1,20}$/);
    fc.assert(
      fc.property(word, fc.string(), (instance, message) => {
        assert.equal(parseLogLine(`2026-11-22T12:46:08.000000001 [${instance}:main] ${message}`)?.message, message);
      }),
    );
  });
});

describe("recogniseMessage", () => {
  it("knows what 1.12.1 says about a VM's life", () => {
    const texts = {
      "Running Firecracker v1.12.1": { kind: "program-started", version: "1.12.1" },
      "Successfully started microvm that was configured from one single json": { kind: "vm-started" },
      "Vmm is stopping.": { kind: "vm-stopping" },
      "Firecracker exiting successfully. exit_code=0": { kind: "program-ended", status: 0 },
      "Firecracker exiting with error. exit_code=152": { kind: "program-ended", status: 152 },
      "Shutting down VM after intercepting a bad syscall (16).": { kind: "bad-syscall", number: 16 },
      "Shutting down VM after intercepting signal 31, code 1.": { kind: "signal", number: 31, fatal: true },
      "Received signal 13, code 0.": { kind: "signal", number: 13, fatal: false },
      "Firecracker panicked at src/firecracker/src/main.rs:364:20:": {
        kind: "panic",
        text: "src/firecracker/src/main.rs:364:20:",
      },
      "Received KVM_EXIT_SHUTDOWN signal": { kind: "guest-crash", text: "Received KVM_EXIT_SHUTDOWN signal" },
      "Received KVM_EXIT_INTERNAL_ERROR signal": {
        kind: "vcpu-failure",
        text: "Received KVM_EXIT_INTERNAL_ERROR signal",
      },
      "RunWithApiError error: MicroVM stopped with an error: GenericError": {
        kind: "failure",
        text: "RunWithApiError error: MicroVM stopped with an error: GenericError",
      },
      "Could not initialize logger: Failed to open target file: No such file or directory (os error 2)": {
        kind: "failure",
        text: "Could not initialize logger: Failed to open target file: No such file or directory (os error 2)",
      },
    };
    for (const [message, event] of Object.entries(texts)) assert.deepEqual(recogniseMessage(message), event, message);
  });

  it("says nothing of everything else, a request that quotes such a text included", () => {
    for (const message of [
      "",
      "Artificially kick devices.",
      'The API server received a Put request on "/mmds" with body "Firecracker exiting successfully. exit_code=0".',
    ]) {
      assert.equal(recogniseMessage(message), undefined, message);
    }
  });

  it("never throws", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 200 }),
        (message) => typeof recogniseMessage(message) !== "function",
      ),
    );
  });
});

describe("recogniseConsoleLine", () => {
  it("knows a panic of Linux, and its end", () => {
    assert.deepEqual(
      recogniseConsoleLine("[    1.234567] Kernel panic - not syncing: VFS: Unable to mount root fs\r"),
      {
        kind: "kernel-panic",
        reason: "VFS: Unable to mount root fs",
      },
    );
    assert.deepEqual(recogniseConsoleLine("[    9.8] reboot: Power down"), { kind: "powered-off" });
    assert.equal(recogniseConsoleLine("login:"), undefined);
  });

  it("never passes on what could steer a terminal", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        const event = recogniseConsoleLine(`Kernel panic - not syncing: ${text}`);
        assert.ok(event?.kind === "kernel-panic" && /^[\x20-\x7e]*$/.test(event.reason));
      }),
    );
  });
});
