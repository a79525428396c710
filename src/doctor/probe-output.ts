/** A piece of a VM's console and when it came, in milliseconds on a clock that never jumps. */
export interface ConsoleChunk {
  readonly text: string;
  readonly atMs: number;
}

/** What the built-in probe guest told. */
export interface ProbeOutput {
  /** The guest's first line came: KVM runs it and its console arrives. */
  readonly up: boolean;
  /** Speed of its timed loop; absent where the loop didn't end or couldn't be timed. */
  readonly instructionsPerSecond?: number;
  /** A timer interrupt woke it out of a halt. False also where it had to poll for the time instead. */
  readonly woke: boolean;
  /** It came to its last line, after which it ends Firecracker with exit code 0. */
  readonly complete: boolean;
}

/** How fast a KVM runs guests: `slow` ones emulate every instruction, and take many minutes to boot Linux. */
export type KvmSpeed = "fast" | "slow" | "unknown";

/**
 * Instructions a second from which on a Linux guest is worth while: it takes some two thousand million to boot. KVM on
 * hardware does thousands of millions, a KVM that emulates guests one or two million.
 */
export const FAST_INSTRUCTIONS_PER_SECOND = 100_000_000;

const PREFIX = "warder probe: ";
const LOOP_INSTRUCTIONS = 200_000;
const HALT_SECONDS = 0.025;
/** Shorter than any loop that can be told from the time a console takes to arrive. */
const LEAST_ARRIVAL_MS = 5;

/**
 * Reads what the probe guest (`guests/probe.S`) printed. Total: other lines, and lines that are cut off, count for
 * nothing.
 *
 * The speed comes from the guest's own two stopwatches, of its loop and of a halt of known length, so it holds however
 * late the console was read. A guest that could not halt gives the times at which its lines arrived instead: a lower
 * bound, as it may have looped more than once.
 */
export function parseProbeOutput(chunks: readonly ConsoleChunk[]): ProbeOutput {
  const lines = stampLines(chunks);
  const instructionsPerSecond = speedByStopwatch(lines) ?? speedByArrival(lines);
  return {
    up: lines.has("up"),
    ...(instructionsPerSecond === undefined ? {} : { instructionsPerSecond }),
    woke: lines.has("halted and woke"),
    complete: lines.has("reset"),
  };
}

/** The class of a speed; `unknown` where it could not be measured. */
export function kvmSpeed({ instructionsPerSecond }: Pick<ProbeOutput, "instructionsPerSecond">): KvmSpeed {
  if (instructionsPerSecond === undefined) return "unknown";
  return instructionsPerSecond > FAST_INSTRUCTIONS_PER_SECOND ? "fast" : "slow";
}

/** Each complete line of the probe's, with the time at which its end arrived. The first of equal lines counts. */
function stampLines(chunks: readonly ConsoleChunk[]): Map<string, number> {
  const stamped = new Map<string, number>();
  let pending = "";
  for (const { text, atMs } of chunks) {
    const lines = `${pending}${text}`.split("\n");
    pending = lines.pop() ?? "";
    for (const line of lines.map((each) => each.trimEnd()).filter((each) => each.startsWith(PREFIX))) {
      const message = line.slice(PREFIX.length);
      if (!stamped.has(message)) stamped.set(message, atMs);
    }
  }
  return stamped;
}

function speedByStopwatch(lines: ReadonlyMap<string, number>): number | undefined {
  const loopCycles = cyclesIn(lines, "loop cycles 0x");
  const haltCycles = cyclesIn(lines, "halt 25000 us cycles 0x");
  if (loopCycles === undefined || haltCycles === undefined) return undefined;
  return Math.round((LOOP_INSTRUCTIONS * haltCycles) / (loopCycles * HALT_SECONDS));
}

function cyclesIn(lines: ReadonlyMap<string, number>, start: string): number | undefined {
  const line = lines.keys().find((each) => each.startsWith(start));
  const digits = line?.slice(start.length) ?? "";
  const cycles = /^[0-9a-f]{16}$/.test(digits) ? Number(BigInt(`0x${digits}`)) : 0;
  return cycles > 0 ? cycles : undefined;
}

function speedByArrival(lines: ReadonlyMap<string, number>): number | undefined {
  const begin = lines.get(`loop ${LOOP_INSTRUCTIONS} begin`);
  const end = lines.get(`loop ${LOOP_INSTRUCTIONS} end`);
  if (begin === undefined || end === undefined || end - begin < LEAST_ARRIVAL_MS) return undefined;
  return Math.round((LOOP_INSTRUCTIONS * 1000) / (end - begin));
}
