import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { WarderError } from "../../vm/error.ts";
import { withContext, withoutContext } from "../call-context.ts";
import type { LogLevel } from "./level.ts";
import { createLogger, type Logger, silentLogger } from "./logger.ts";

function capture(level: LogLevel = "debug"): { log: Logger; lines: () => Record<string, unknown>[] } {
  const written: string[] = [];
  const log = createLogger({ level }, { write: (line) => void written.push(line) });
  return { log, lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

/** All lines without the time, which differs. */
function timeless(lines: Record<string, unknown>[]): unknown[] {
  return lines.map(({ time, ...rest }) => {
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    return rest;
  });
}

describe("the log", () => {
  test("writes one JSON object a line, with level, time, message and details", () => {
    const { log, lines } = capture();
    log.note("VM ended", { vm_id: "vm-1", code: 0 });
    log.warn("a\nb");
    assert.deepEqual(timeless(lines()), [
      { level: "info", msg: "VM ended", vm_id: "vm-1", code: 0 },
      { level: "warn", msg: "a\nb" },
    ]);
  });

  test("leaves out what is less serious than its level", () => {
    const { log, lines } = capture("warn");
    log.debug("a");
    log.info("b");
    log.warn("c");
    log.error("d");
    assert.deepEqual(
      lines().map(({ msg }) => msg),
      ["c", "d"],
    );
    const quiet = capture("silent");
    quiet.log.error("nothing");
    assert.deepEqual(quiet.lines(), []);
  });

  test("names the request and the VM that a line was written for, also after a wait", async () => {
    const { log, lines } = capture();
    await withContext({ requestId: "req-1" }, async () => {
      await withContext({ vmId: "vm-1", traceId: "t", spanId: "s" }, async () => {
        await Promise.resolve();
        log.info("inside");
        withoutContext(() => log.info("apart"));
      });
      log.info("around");
    });
    log.info("outside");
    assert.deepEqual(timeless(lines()), [
      { level: "info", msg: "inside", request_id: "req-1", vm_id: "vm-1", trace_id: "t", span_id: "s" },
      { level: "info", msg: "apart" },
      { level: "info", msg: "around", request_id: "req-1" },
      { level: "info", msg: "outside" },
    ]);
  });

  test("has each member once, the nearest winning", () => {
    const written: string[] = [];
    const log = createLogger({ level: "info", base: { version: "1" } }, { write: (line) => void written.push(line) });
    withContext({ vmId: "vm-context" }, () =>
      log.with({ vm_id: "vm-bound", part: "gc" }).info("x", { vm_id: "vm-own" }),
    );
    assert.equal(written[0]?.match(/"vm_id"/g)?.length, 1);
    assert.deepEqual(timeless(written.map((line) => JSON.parse(line))), [
      { level: "info", version: "1", msg: "x", vm_id: "vm-own", part: "gc" },
    ]);
  });

  test("shows no secret", () => {
    const { log, lines } = capture();
    log.with({ bearer_token: "a" }).info("called with Bearer abc", { headers: { authorization: "Bearer abc" } });
    assert.ok(!JSON.stringify(lines()).includes("abc"));
    assert.equal(lines()[0]?.bearer_token, "[redacted]");
  });
});

describe("a failure in the log", () => {
  const storeFailed = () =>
    new WarderError("store-failed", {
      doing: "writing the state database",
      why: "it is locked",
      cause: new Error("busy"),
    });

  test("has its code, and what was being done, why it failed and what to do", () => {
    const { log, lines } = capture();
    log.failure(
      "request failed",
      new WarderError("disk-full", { doing: "staging", why: "no room", cure: "Free some" }),
    );
    assert.deepEqual(timeless(lines()), [
      {
        level: "warn",
        msg: "request failed",
        code: "disk-full",
        error: {
          code: "disk-full",
          message: "staging: no room. Free some.",
          doing: "staging",
          why: "no room",
          cure: "Free some",
        },
      },
    ]);
  });

  test("is as serious as its code: the host's failures are errors, a caller's mistakes are not", () => {
    const { log, lines } = capture();
    const facts = { doing: "d", why: "w" };
    log.failure("a", storeFailed());
    log.failure("b", new WarderError("invalid-argument", facts));
    log.failure("c", new WarderError("ids-exhausted", facts));
    log.failure("d", new TypeError("undefined is not a function"));
    assert.deepEqual(
      lines().map(({ level, code }) => [level, code]),
      [
        ["error", "store-failed"],
        ["info", "invalid-argument"],
        ["warn", "ids-exhausted"],
        ["error", "internal"],
      ],
    );
  });

  test("is told once, however many edges it passes", () => {
    const { log, lines } = capture();
    const error = storeFailed();
    log.failure("inner", error);
    log.with({ edge: 2 }).failure("outer", error);
    log.failure("another", storeFailed());
    log.failure("no object", "text");
    log.failure("no object", "text");
    assert.deepEqual(
      lines().map(({ msg }) => msg),
      ["inner", "another", "no object", "no object"],
    );
  });

  test("shows a stack where it is a defect, and nowhere else", () => {
    const { log, lines } = capture();
    log.failure("a", new RangeError("off by one"));
    log.failure("b", storeFailed());
    const [defect, known] = lines();
    assert.match(String(defect?.stack), /RangeError: off by one\n\s+at /);
    assert.equal(known?.stack, undefined);
    assert.equal(known?.cause, "busy");
  });
});

test("a silent log takes everything", () => {
  silentLogger.with({ a: 1 }).failure("x", new Error("y"));
  silentLogger.info("z");
});
