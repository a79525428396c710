import type { VmSpecInput } from "../src/index.ts";

/** What the runner asks of a contestant, in the environment (see README.md, "Adding a contestant"). */
export interface Contract {
  readonly name: string;
  readonly firecracker: string;
  readonly jailer: string;
  readonly kernel: string;
  readonly chrootBase: string;
  /** How many VMs, and how many of them at once. */
  readonly count: number;
  readonly concurrency: number;
  readonly idPrefix: string;
  readonly marker: Buffer;
  readonly firstUid: number;
  readonly vcpus: number;
  readonly memoryMib: number;
  readonly limits: NonNullable<VmSpecInput["limits"]>;
  readonly timeoutMs: number;
  /** False: Firecracker without the jailer, to see what jailing costs. */
  readonly jailed: boolean;
  /** The guest does not end by itself: it is killed as soon as its VM is ready. */
  readonly guestStays: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the contract.
 *
 * @throws RangeError for what is missing, and for a cgroup setting that Warder has no word for: a limit that was left
 * out would be work that the other contestants did and this one did not.
 */
export function readContract(environment: Environment): Contract {
  const need = (name: string): string => {
    const value = environment[name];
    if (value === undefined || value === "") throw new RangeError(`${name} is not set: this is started by bench/run`);
    return value;
  };
  const number = (name: string, fallback: number): number => {
    const value = Number(environment[name] ?? fallback);
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw new RangeError(`${name} must be a whole number, not ${environment[name]}`);
  };
  return {
    name: environment.BENCH_NAME ?? "warder",
    firecracker: need("BENCH_FIRECRACKER"),
    jailer: need("BENCH_JAILER"),
    kernel: need("BENCH_KERNEL"),
    chrootBase: need("BENCH_CHROOT_BASE"),
    count: number("BENCH_N", 1),
    concurrency: Math.max(1, number("BENCH_CONCURRENCY", 1)),
    idPrefix: need("BENCH_ID_PREFIX"),
    marker: Buffer.from(need("BENCH_MARKER")),
    firstUid: number("BENCH_UID", 10_001),
    vcpus: number("BENCH_VCPUS", 1),
    memoryMib: number("BENCH_MEM_MIB", 128),
    limits: toLimits(environment.BENCH_CGROUPS ?? ""),
    timeoutMs: number("BENCH_TIMEOUT_S", 30) * 1000,
    jailed: environment.BENCH_JAILED !== "0",
    guestStays: environment.BENCH_GUEST_STAYS === "1",
  };
}

type Limits = Contract["limits"];

/** Microseconds over which Warder lets CPU time be counted: the kernel's default, and the only one it has. */
const PERIOD_US = 100_000;

/** What each file of either cgroup version is in Warder's words; `{}` for what Warder writes of its own accord. */
const limitOf: Readonly<Record<string, (value: number) => Limits>> = {
  "memory.limit_in_bytes": (bytes) => ({ memoryBytes: bytes }),
  "memory.max": (bytes) => ({ memoryBytes: bytes }),
  "cpu.cfs_period_us": (period) => refuseOtherPeriod(period),
  "cpu.cfs_quota_us": (quota) => ({ cpuPercent: Math.round((quota * 100) / PERIOD_US) }),
  "cpu.max": (quota) => ({ cpuPercent: Math.round((quota * 100) / PERIOD_US) }),
  "pids.max": (pids) => ({ pids }),
};

/** `file=value` settings for the jailer, as Warder's limits. */
function toLimits(settings: string): Limits {
  const limits = settings
    .split(" ")
    .filter((setting) => setting !== "")
    .map((setting): Limits => {
      const [file = "", value = ""] = setting.split("=");
      const convert = limitOf[file];
      if (convert === undefined || !/^\d+$/.test(value)) throw new RangeError(`Warder has no limit for ${setting}`);
      return convert(Number(value));
    });
  if (limits.length === 0) throw new RangeError("Warder places every VM in cgroups: there is no run of it without");
  return Object.assign({}, ...limits) as Limits;
}

function refuseOtherPeriod(period: number): Limits {
  if (period === PERIOD_US) return {};
  throw new RangeError(`Warder counts CPU time over ${PERIOD_US} microseconds, not over ${period}`);
}
