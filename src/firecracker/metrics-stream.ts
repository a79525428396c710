import * as z from "zod";

/**
 * What the devices of one VM have done, as its Firecracker counts it, since its output is read by this process. Whoever
 * has taken over Firecracker chooses these numbers: good for graphs, not for bills.
 */
export interface DeviceTotals {
  readonly blockReadBytes: number;
  readonly blockWrittenBytes: number;
  readonly blockReads: number;
  readonly blockWrites: number;
  /** Received by the guest. */
  readonly networkReceivedBytes: number;
  /** Sent by the guest. */
  readonly networkSentBytes: number;
  readonly networkReceivedPackets: number;
  readonly networkSentPackets: number;
  /** System calls that the filter has refused. */
  readonly seccompFaults: number;
}

/** A real line has 4 KiB, and 0.7 KiB more for each device. */
const LINE_LIMIT_BYTES = 64 * 1024;

/** Firecracker writes a line at its start, every minute, at its end and when it is told to: more is refused unread. */
const LINES_AT_ONCE = 8;
const LINES_PER_SECOND = 1;

const count = z.int().nonnegative().default(0);

/** What is read of a line. Counters of releases that do not have them are 0. */
const lineSchema = z.object({
  utc_timestamp_ms: z.int(),
  block: z.object({ read_bytes: count, write_bytes: count, read_count: count, write_count: count }).prefault({}),
  net: z
    .object({ rx_bytes_count: count, tx_bytes_count: count, rx_packets_count: count, tx_packets_count: count })
    .prefault({}),
  seccomp: z.object({ num_faults: count }).prefault({}),
});

/**
 * Reads Firecracker's metrics: one JSON object a line, each with what was counted since the line before. Takes any
 * bytes, at any pace, and holds at most one line of them.
 */
export class MetricsStream {
  readonly #now: () => number;
  #rest: Buffer = Buffer.alloc(0);
  /** The line that is being read is too long already. */
  #isSkipping = false;
  #allowance = LINES_AT_ONCE;
  #allowedAt: number;
  #totals: DeviceTotals = nothing;
  #taken = 0;
  #refused = 0;

  /** @param now - Milliseconds on a clock that never jumps. */
  constructor(now: () => number) {
    this.#now = now;
    this.#allowedAt = now();
  }

  get totals(): DeviceTotals {
    return this.#totals;
  }

  /** Lines that were added to the totals. */
  get taken(): number {
    return this.#taken;
  }

  /** Lines that were not: too long, too many, or not of Firecracker's form. */
  get refused(): number {
    return this.#refused;
  }

  /** Takes what was read, wherever it was cut. */
  push(chunk: Uint8Array): void {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      this.#endLine(chunk.subarray(from, end));
      from = end + 1;
    }
    this.#keep(chunk.subarray(from));
  }

  #keep(part: Uint8Array): void {
    if (this.#isSkipping || part.length === 0) return;
    this.#isSkipping = this.#rest.length + part.length > LINE_LIMIT_BYTES;
    this.#rest = this.#isSkipping ? Buffer.alloc(0) : Buffer.concat([this.#rest, part]);
  }

  #endLine(part: Uint8Array): void {
    this.#keep(part);
    const line = this.#isSkipping || !this.#isAllowed() ? undefined : parseLine(this.#rest.toString("utf8"));
    this.#isSkipping = false;
    this.#rest = Buffer.alloc(0);
    if (line === undefined) this.#refused++;
    else {
      this.#taken++;
      this.#totals = add(this.#totals, line);
    }
  }

  #isAllowed(): boolean {
    const now = this.#now();
    const earned = ((now - this.#allowedAt) / 1000) * LINES_PER_SECOND;
    this.#allowance = Math.min(LINES_AT_ONCE, this.#allowance + earned);
    this.#allowedAt = now;
    if (this.#allowance < 1) return false;
    this.#allowance--;
    return true;
  }
}

const NEWLINE = 0x0a;

const nothing: DeviceTotals = Object.freeze({
  blockReadBytes: 0,
  blockWrittenBytes: 0,
  blockReads: 0,
  blockWrites: 0,
  networkReceivedBytes: 0,
  networkSentBytes: 0,
  networkReceivedPackets: 0,
  networkSentPackets: 0,
  seccompFaults: 0,
});

function parseLine(text: string): DeviceTotals | undefined {
  const parsed = lineSchema.safeParse(parseJson(text));
  if (!parsed.success) return undefined;
  const { block, net, seccomp } = parsed.data;
  return {
    blockReadBytes: block.read_bytes,
    blockWrittenBytes: block.write_bytes,
    blockReads: block.read_count,
    blockWrites: block.write_count,
    networkReceivedBytes: net.rx_bytes_count,
    networkSentBytes: net.tx_bytes_count,
    networkReceivedPackets: net.rx_packets_count,
    networkSentPackets: net.tx_packets_count,
    seccompFaults: seccomp.num_faults,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Sums that stop at the largest whole number instead of losing their last digits. */
function add(left: DeviceTotals, right: DeviceTotals): DeviceTotals {
  const sum = Object.entries(left).map(([name, value]) => {
    return [name, Math.min(Number.MAX_SAFE_INTEGER, value + right[name as keyof DeviceTotals])] as const;
  });
  return Object.fromEntries(sum) as unknown as DeviceTotals;
}
