import { type DestinationStream, pino } from "pino";
import { currentContext } from "../call-context.ts";
import { failureFields, type Severity, severityOf } from "./failure.ts";
import type { LogLevel } from "./level.ts";
import { presentable, presentableText } from "./presentable.ts";

type Details = Readonly<Record<string, unknown>>;

/**
 * A structured log: one JSON object a line, with `level`, `time` (RFC 3339, UTC), `msg`, what is known of the call (see
 * `CallContext`) and the details. Secrets never get into it: see `presentable.ts`.
 */
export interface Logger {
  readonly debug: (message: string, details?: Details) => void;
  readonly info: (message: string, details?: Details) => void;
  /** The same as `info`: what happens. */
  readonly note: (message: string, details?: Details) => void;
  readonly warn: (message: string, details?: Details) => void;
  readonly error: (message: string, details?: Details) => void;
  /**
   * A failure, with its code, at the edge where it is handled. How serious it is follows from its code. The same error
   * is logged once only, however many edges it passes.
   */
  readonly failure: (message: string, error: unknown, details?: Details) => void;
  /** A log whose lines all have these details. */
  readonly with: (details: Details) => Logger;
}

/** A log whose level can be set; also that of the logs made of it. */
export interface SettableLogger extends Logger {
  readonly setLevel: (level: LogLevel) => void;
}

/** How a log is kept. */
export interface LoggerOptions {
  readonly level: LogLevel;
  /** On every line, such as the daemon's version. */
  readonly base?: Details;
}

/** A log that writes to `destination`. */
export function createLogger(options: LoggerOptions, destination: DestinationStream): SettableLogger {
  const backend = pino(
    {
      level: options.level,
      base: { ...options.base },
      messageKey: "msg",
      timestamp: pino.stdTimeFunctions.isoTime,
      mixin: contextFields,
      formatters: { level: (label) => ({ level: label }), log: presentable },
    },
    destination,
  );
  const write = (severity: Severity, message: string, details: Details) =>
    backend[severity](details, presentableText(message));
  const setLevel = (level: LogLevel) => {
    backend.level = level;
  };
  return { ...loggerOf(write, new WeakSet(), {}), setLevel };
}

/** A log that nobody reads. */
export const silentLogger: Logger = loggerOf(() => undefined, new WeakSet(), {});

type Write = (severity: Severity, message: string, details: Details) => void;

function loggerOf(write: Write, told: WeakSet<object>, bound: Details): Logger {
  const at = (severity: Severity) => (message: string, details?: Details) =>
    write(severity, message, { ...bound, ...details });
  return Object.freeze({
    debug: at("debug"),
    info: at("info"),
    note: at("info"),
    warn: at("warn"),
    error: at("error"),
    failure(message: string, error: unknown, details?: Details) {
      if (wasTold(told, error)) return;
      write(severityOf(error), message, { ...bound, ...details, ...failureFields(error) });
    },
    with: (details: Details) => loggerOf(write, told, { ...bound, ...details }),
  });
}

/** Whether it was told before; from now on it was. */
function wasTold(told: WeakSet<object>, error: unknown): boolean {
  if (typeof error !== "object" || error === null) return false;
  if (told.has(error)) return true;
  told.add(error);
  return false;
}

function contextFields(): Record<string, string> {
  const { requestId, vmId, traceId, spanId } = currentContext();
  return {
    ...(requestId === undefined ? {} : { request_id: requestId }),
    ...(vmId === undefined ? {} : { vm_id: vmId }),
    ...(traceId === undefined ? {} : { trace_id: traceId }),
    ...(spanId === undefined ? {} : { span_id: spanId }),
  };
}
