/** The guest's serial port: standard output, which is never waited for. */
import { fstatSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { toOsError } from "../common/os-error.ts";
import type { Release } from "../common/release.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";

const STDOUT = 1;

/** From 1.16 one call site logs at most so many lines per period. */
const LOG_BURST = 10;
const LOG_PERIOD_MS = 5000;

/** The console of one VM. */
export class Serial {
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #limitsLog: boolean;
  #period = 0;
  #logged = 0;

  constructor(release: Release, log: Log, metrics: Metrics) {
    this.#log = log;
    this.#metrics = metrics;
    this.#limitsLog = release.v1_16;
    makeNonBlocking();
  }

  /** Writes what fits; the rest is lost, and a log line says so. */
  write(text: string): void {
    const bytes = Buffer.from(text);
    try {
      const written = writeSync(STDOUT, bytes);
      this.#metrics.count("uart.write_count", written);
      if (written < bytes.length) this.write(text.slice(written));
    } catch (thrown) {
      const { debug } = toOsError(thrown);
      this.#metrics.count("uart.missed_write_count", bytes.length);
      if (this.#mayLog()) this.#log.error(`Failed the write to serial: IOError(${debug})`, "fc_vcpu 0");
    }
  }

  #mayLog(): boolean {
    if (!this.#limitsLog) return true;
    const period = Math.floor(Date.now() / LOG_PERIOD_MS);
    if (period !== this.#period) {
      this.#period = period;
      this.#logged = 0;
    }
    return this.#logged++ < LOG_BURST;
  }
}

/** Like the real one it changes the open file itself, also for whoever shares it. Node.js does so for its own use. */
function makeNonBlocking(): void {
  const stdout = fstatSync(STDOUT);
  if (stdout.isFIFO() || stdout.isSocket()) new Socket({ fd: STDOUT, readable: false, writable: true }).unref();
}
