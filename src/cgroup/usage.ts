import type { Host } from "../host/host.ts";
import { systemCodeOf, WarderError } from "../vm/error.ts";
import type { CgroupPlacement } from "../vm/record.ts";

/**
 * What a VM's Firecracker process has used, as its cgroup counts it: guest memory, page tables and page cache included.
 * A member is absent where this kernel, or this cgroup version, does not count it.
 */
export interface CgroupUsage {
  readonly memoryBytes?: number;
  /** Highest memory use so far. v2 from kernel 5.19. */
  readonly memoryPeakBytes?: number;
  /** Processes that the kernel killed because the memory limit was met. */
  readonly oomKills?: number;
  /** CPU time, in microseconds. */
  readonly cpuMicroseconds?: number;
  /** Periods in which the CPU limit was met. */
  readonly throttledPeriods?: number;
  /** Time that threads waited because of the CPU limit, in microseconds, summed over CPUs. */
  readonly throttledMicroseconds?: number;
  readonly pids?: number;
  /** Highest number of threads so far. From kernel 6.1. */
  readonly pidsPeak?: number;
  readonly readBytes?: number;
  readonly writtenBytes?: number;
}

/**
 * Reads what a VM uses. Total in what it reads: a file that is not there gives an absent member, never a made-up
 * number. A cgroup that is gone gives an empty object.
 *
 * @throws {@link WarderError} `permission-denied` or `internal` where the kernel refuses a file that is there.
 */
export function readUsage(host: Host, placement: CgroupPlacement): CgroupUsage {
  const read = readerOf(host, placement);
  const usage = placement.version === 2 ? readV2(read) : readV1(read);
  return Object.fromEntries(Object.entries(usage).filter(([, value]) => value !== undefined));
}

/** A usage whose unknown members are there, as `undefined`. */
type Sparse = { readonly [Member in keyof CgroupUsage]: CgroupUsage[Member] | undefined };

/** Text of a controller's file; `undefined` where there is none. */
type Reader = (controller: string, file: string) => string | undefined;

function readV2(read: Reader): Sparse {
  const cpu = keyed(read("cpu", "cpu.stat"));
  const io = read("io", "io.stat");
  return {
    memoryBytes: number(read("memory", "memory.current")),
    memoryPeakBytes: number(read("memory", "memory.peak")),
    oomKills: number(keyed(read("memory", "memory.events")).get("oom_kill")),
    cpuMicroseconds: number(cpu.get("usage_usec")),
    throttledPeriods: number(cpu.get("nr_throttled")),
    throttledMicroseconds: number(cpu.get("throttled_usec")),
    pids: number(read("pids", "pids.current")),
    pidsPeak: number(read("pids", "pids.peak")),
    readBytes: sumMatches(io, /\brbytes=(\d+)/g),
    writtenBytes: sumMatches(io, /\bwbytes=(\d+)/g),
  };
}

function readV1(read: Reader): Sparse {
  const cpu = keyed(read("cpu", "cpu.stat"));
  const io = read("blkio", "blkio.throttle.io_service_bytes");
  return {
    memoryBytes: number(read("memory", "memory.usage_in_bytes")),
    memoryPeakBytes: number(read("memory", "memory.max_usage_in_bytes")),
    oomKills: number(keyed(read("memory", "memory.oom_control")).get("oom_kill")),
    // Mounted with cpu on most hosts, apart from it on some.
    cpuMicroseconds: microseconds(read("cpuacct", "cpuacct.usage") ?? read("cpu", "cpuacct.usage")),
    throttledPeriods: number(cpu.get("nr_throttled")),
    throttledMicroseconds: microseconds(cpu.get("throttled_time")),
    pids: number(read("pids", "pids.current")),
    pidsPeak: number(read("pids", "pids.peak")),
    readBytes: sumMatches(io, /^\d+:\d+ Read (\d+)$/gm),
    writtenBytes: sumMatches(io, /^\d+:\d+ Write (\d+)$/gm),
  };
}

function readerOf(host: Host, placement: CgroupPlacement): Reader {
  // All controllers of v2 share one directory, so io.stat can be read there even where io was not asked for.
  const [anyDirectory] = placement.version === 2 ? Object.values(placement.directories) : [];
  return (controller, file) => {
    const directory = placement.directories[controller] ?? anyDirectory;
    if (directory === undefined) return undefined;
    try {
      return host.files.readText(`${directory}/${file}`);
    } catch (error) {
      if (["ENOENT", "ENODEV", "EOPNOTSUPP"].includes(systemCodeOf(error) ?? "")) return undefined;
      throw WarderError.from(error, "internal", `reading ${directory}/${file}`);
    }
  };
}

/** Lines of `key value`. */
function keyed(text: string | undefined): Map<string, string> {
  const pairs = (text ?? "").split("\n").map((line): [string, string] => {
    const blank = line.indexOf(" ");
    return blank < 0 ? [line, ""] : [line.slice(0, blank), line.slice(blank + 1)];
  });
  return new Map(pairs);
}

function number(text: string | undefined): number | undefined {
  const trimmed = text?.trim();
  return trimmed !== undefined && /^\d+$/.test(trimmed) ? Number(trimmed) : undefined;
}

/** Nanoseconds as microseconds; by way of a bigint, as a VM's nanoseconds outgrow a number in 104 days of CPU time. */
function microseconds(text: string | undefined): number | undefined {
  const trimmed = text?.trim();
  return trimmed !== undefined && /^\d+$/.test(trimmed) ? Number(BigInt(trimmed) / 1000n) : undefined;
}

/** Sum of the first group of every match; `undefined` where the file is not there, 0 where it counts no device yet. */
function sumMatches(text: string | undefined, pattern: RegExp): number | undefined {
  if (text === undefined) return undefined;
  return [...text.matchAll(pattern)].reduce((sum, match) => sum + Number(match[1]), 0);
}
