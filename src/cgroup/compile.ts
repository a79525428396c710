import { WarderError } from "../vm/error.ts";
import type { Limits } from "../vm/limits.ts";
import { type Controller, neededControllers, v1Name } from "./controllers.ts";
import { normaliseCpuList } from "./cpu-list.ts";
import { type CgroupHost, v1HierarchyOf } from "./detect.ts";
import type { CgroupSetting } from "./setting.ts";
import { v1Throttles, v2Throttles } from "./throttle.ts";

/** What compiling limits depends on beside the limits. Made by {@link compileContext}. */
export interface CompileContext {
  readonly version: 1 | 2;
  readonly pageBytes: number;
  /** Files that forbid swap, of those this kernel has. */
  readonly swapFiles: readonly string[];
  /** v1: every CPU and memory node, in list form. A v1 cpuset needs both, whichever was asked for. */
  readonly allCpus: string;
  readonly allMemoryNodes: string;
  /** v1: whether `cpuacct` is mounted. */
  readonly hasCpuacct: boolean;
}

/** Limits as one cgroup version takes them. */
export interface CompiledLimits {
  readonly version: 1 | 2;
  /** In the order in which they must be written. */
  readonly settings: readonly CgroupSetting[];
  /** Keys of the placement's directories: every controller that the VM is placed in. */
  readonly controllers: readonly string[];
  /**
   * Controllers that the manager itself puts the process in, once it runs: those of v1 for which the jailer carries no
   * setting. Empty on v2, which has one hierarchy.
   */
  readonly joins: readonly string[];
}

/** What {@link compileLimits} needs to know of a host. */
export function compileContext(cgroups: CgroupHost, version: 1 | 2): CompileContext {
  return {
    version,
    pageBytes: cgroups.pageBytes,
    swapFiles: version === 1 ? cgroups.swapFiles.v1 : cgroups.swapFiles.v2,
    allCpus: cgroups.v1Cpuset.cpus || "0",
    allMemoryNodes: cgroups.v1Cpuset.memoryNodes || "0",
    hasCpuacct: v1HierarchyOf(cgroups, "cpuacct") !== undefined,
  };
}

/**
 * Compiles one model of limits to the files of either version. Memory, cpu and pids always get a setting, if only one
 * that says there is no limit, so that the VM leaves the manager's cgroup. Swap is forbidden where the kernel lets it
 * be: guest memory has no business on a disk. v2 forbids it outright; v1 can only bound memory and swap together by the
 * memory limit, and ask for swapping last of all.
 *
 * @throws {@link WarderError} `invalid-argument` where a CPU or node list is not one.
 */
export function compileLimits(limits: Limits, context: CompileContext): CompiledLimits {
  const settings = context.version === 1 ? compileV1(limits, context) : compileV2(limits, context);
  const needed = neededControllers(limits);
  const carried = new Set(settings.filter(({ carrier }) => carrier === "jailer").map(({ controller }) => controller));
  const controllers = context.version === 1 ? v1Controllers(needed, context) : needed;
  const joins = context.version === 1 ? controllers.filter((controller) => !carried.has(controller)) : [];
  return Object.freeze({ version: context.version, settings, controllers, joins });
}

/** Usage of CPU time is counted by `cpuacct`, which has nothing to set and is mounted apart on some hosts. */
function v1Controllers(needed: readonly Controller[], context: CompileContext): string[] {
  return [...needed.map(v1Name), ...(context.hasCpuacct ? ["cpuacct"] : [])];
}

/** Microseconds over which CPU time is counted: the kernel's default. */
const PERIOD_US = 100_000;

/** Microseconds of CPU time a period: 1 % of a core is 1000, the least the kernel takes. */
function quotaOf(percent: number): number {
  return Math.round((percent * PERIOD_US) / 100);
}

function compileV2(limits: Limits, context: CompileContext): CgroupSetting[] {
  const quota = limits.cpuPercent === undefined ? "max" : String(quotaOf(limits.cpuPercent));
  return [
    bytes("limit.memory", "memory.max", limits.memoryBytes, "max", "max", context),
    ...context.swapFiles.map((file) => exact("limit.swap", file, "0")),
    exact("limit.cpu", "cpu.max", `${quota} ${PERIOD_US}`),
    ...optional(limits.cpuWeight, (weight) => exact("limit.cpu-weight", "cpu.weight", String(weight))),
    exact("limit.pids", "pids.max", pids(limits)),
    ...optional(limits.memoryNodes, (list) => cpuset("limit.memory-nodes", "cpuset.mems", list, "memoryNodes")),
    ...optional(limits.cpus, (list) => cpuset("limit.cpus", "cpuset.cpus", list, "cpus")),
    ...v2Throttles(limits.io),
  ];
}

function compileV1(limits: Limits, context: CompileContext): CgroupSetting[] {
  const quota = limits.cpuPercent === undefined ? "-1" : String(quotaOf(limits.cpuPercent));
  return [
    bytes("limit.memory", "memory.limit_in_bytes", limits.memoryBytes, "-1", v1NoLimit(context), context),
    ...v1Swap(limits, context),
    exact("limit.cpu-period", "cpu.cfs_period_us", String(PERIOD_US)),
    exact("limit.cpu", "cpu.cfs_quota_us", quota),
    ...optional(limits.cpuWeight, (weight) => exact("limit.cpu-weight", "cpu.shares", String(sharesOf(weight)))),
    exact("limit.pids", "pids.max", pids(limits)),
    ...v1Cpuset(limits, context),
    ...v1Throttles(limits.io),
  ];
}

/** v1 says "no limit" as the largest number of whole pages below 2^63 bytes. */
function v1NoLimit({ pageBytes }: CompileContext): string {
  const page = BigInt(pageBytes);
  return String(((2n ** 63n - 1n) / page) * page);
}

/** The total of memory and swap must not be below the memory limit, so it follows it. */
function v1Swap(limits: Limits, context: CompileContext): CgroupSetting[] {
  const total = "memory.memsw.limit_in_bytes";
  const swappiness = "memory.swappiness";
  return [
    ...(limits.memoryBytes !== undefined && context.swapFiles.includes(total)
      ? [bytes("limit.swap", total, limits.memoryBytes, "-1", "-1", context)]
      : []),
    ...(context.swapFiles.includes(swappiness) ? [exact("limit.swappiness", swappiness, "0")] : []),
  ];
}

/** The kernel lets no process into a v1 cpuset that lacks one of the two. */
function v1Cpuset(limits: Limits, context: CompileContext): CgroupSetting[] {
  if (limits.cpus === undefined && limits.memoryNodes === undefined) return [];
  return [
    cpuset("limit.memory-nodes", "cpuset.mems", limits.memoryNodes ?? context.allMemoryNodes, "memoryNodes"),
    cpuset("limit.cpus", "cpuset.cpus", limits.cpus ?? context.allCpus, "cpus"),
  ];
}

/** The kernel's own conversion of a v2 weight, so that both versions share CPU time alike. 100 is 1024 shares. */
function sharesOf(weight: number): number {
  return Math.max(2, Math.round((weight * 1024) / 100));
}

function pids(limits: Limits): string {
  return limits.pids === undefined ? "max" : String(limits.pids);
}

/** A file that reads back what was written. The controller is the file's name up to its first dot. */
function exact(control: string, file: string, value: string): CgroupSetting {
  const controller = file.slice(0, file.indexOf("."));
  return { control, controller, file, value, stored: { kind: "text", text: value }, carrier: "jailer" };
}

/** A size in bytes, which the kernel rounds down to whole pages. */
function bytes(
  control: string,
  file: string,
  size: number | undefined,
  noLimit: string,
  noLimitStored: string,
  { pageBytes }: CompileContext,
): CgroupSetting {
  if (size === undefined) return { ...exact(control, file, noLimit), stored: { kind: "text", text: noLimitStored } };
  const whole = size - (size % pageBytes);
  return { ...exact(control, file, String(size)), stored: { kind: "text", text: String(whole) } };
}

function cpuset(control: string, file: string, list: string, field: string): CgroupSetting {
  try {
    return exact(control, file, normaliseCpuList(list));
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new WarderError("invalid-argument", {
      doing: "compiling limits to cgroup files",
      why: "a list of CPUs or memory nodes is wrong",
      fields: [{ field: `limits.${field}`, problem: cause.message }],
      cause,
    });
  }
}

function optional<Value, Result>(value: Value | undefined, make: (value: Value) => Result): Result[] {
  return value === undefined ? [] : [make(value)];
}
