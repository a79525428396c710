/** Firecracker's log: `2026-11-22T12:30:54.169514312 [id:main] message`. */
import type { Release } from "../common/release.ts";
import { openSink, writeLine } from "./sink.ts";

/** Levels in the order of how much they let through. */
const LEVELS = ["OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"] as const;
export type Level = (typeof LEVELS)[number];

/** The threads that log. */
export type Thread = "main" | "fc_api" | "fc_vcpu 0";

/** What can be changed by flags, by the configuration file and by `PUT /logger`. */
export interface LoggerSettings {
  readonly path?: string | null | undefined;
  readonly level?: string | null | undefined;
  readonly showLevel?: boolean | null | undefined;
  readonly showOrigin?: boolean | null | undefined;
}

const STDOUT = 1;

/** The log of one process. */
export class Log {
  readonly #release: Release;
  readonly #isLocalTime: boolean;
  #file = STDOUT;
  #level: Level = "INFO";
  #showLevel = false;
  #showOrigin = false;
  id = "anonymous-instance";
  /** Lines that could not be written. */
  missed = 0;

  /** In a jail there is no `/etc/localtime`, and times are UTC. */
  constructor(release: Release, isLocalTime: boolean) {
    this.#release = release;
    this.#isLocalTime = isLocalTime;
  }

  /** Applies what was given; throws what opening the file throws. `path` is translated already. */
  update(settings: LoggerSettings): void {
    if (settings.path) this.#file = openSink(settings.path, this.#release);
    if (settings.level) this.#level = toLevel(settings.level) ?? this.#level;
    this.#showLevel = settings.showLevel ?? this.#showLevel;
    this.#showOrigin = settings.showOrigin ?? this.#showOrigin;
  }

  error(message: string, thread: Thread = "main"): void {
    this.#write("ERROR", message, thread);
  }

  warn(message: string, thread: Thread = "main"): void {
    this.#write("WARN", message, thread);
  }

  info(message: string, thread: Thread = "main"): void {
    this.#write("INFO", message, thread);
  }

  #write(level: Level, message: string, thread: Thread): void {
    if (LEVELS.indexOf(level) > LEVELS.indexOf(this.#level)) return;
    const origin = this.#showOrigin ? ":src/fake.rs:1" : "";
    const tag = `${this.id}:${thread}${this.#showLevel ? `:${level}` : ""}${origin}`;
    if (!writeLine(this.#file, `${timestamp(this.#isLocalTime)} [${tag}] ${message}\n`)) this.missed++;
  }
}

/** The level that a word means, in any case; `Warning` is `Warn`. */
export function toLevel(word: string): Level | undefined {
  const upper = word.toUpperCase() === "WARNING" ? "WARN" : word.toUpperCase();
  return LEVELS.find((level) => level === upper);
}

const startedMs = Date.now();
const startedNs = process.hrtime.bigint();

/** Nanoseconds, of which Node.js knows the elapsed ones. */
function timestamp(isLocalTime: boolean): string {
  const elapsedNs = process.hrtime.bigint() - startedNs;
  const now = BigInt(startedMs) * 1_000_000n + elapsedNs;
  const date = new Date(Number(now / 1_000_000n));
  const shifted = isLocalTime ? new Date(date.getTime() - date.getTimezoneOffset() * 60_000) : date;
  return `${shifted.toISOString().slice(0, 19)}.${String(now % 1_000_000_000n).padStart(9, "0")}`;
}
