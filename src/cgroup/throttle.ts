import type { IoLimit } from "../vm/limits.ts";
import type { CgroupSetting } from "./setting.ts";

/** v1 keeps operation rates in 32 bits, all ones meaning none; v2 takes more but stores no more. */
const OPERATIONS_UNLIMITED = 0xffff_ffff;

/** The four rates of a throttle, with their names in each version. */
const rates = [
  { member: "readBytesPerSecond", key: "rbps", file: "blkio.throttle.read_bps_device" },
  { member: "writeBytesPerSecond", key: "wbps", file: "blkio.throttle.write_bps_device" },
  { member: "readOperationsPerSecond", key: "riops", file: "blkio.throttle.read_iops_device" },
  { member: "writeOperationsPerSecond", key: "wiops", file: "blkio.throttle.write_iops_device" },
] as const;

/** One throttle a device, of those that limit anything; where a device is named twice, what is said last holds. */
export function throttlesOf(io: readonly IoLimit[] = []): IoLimit[] {
  const byDevice = new Map<string, IoLimit>();
  for (const limit of io) byDevice.set(limit.device, { ...byDevice.get(limit.device), ...limit });
  return [...byDevice.values()].filter((limit) => rates.some(({ member }) => rateOf(limit, member) !== undefined));
}

/** v2: one `io.max` line a device. */
export function v2Throttles(io: readonly IoLimit[] | undefined): CgroupSetting[] {
  return throttlesOf(io).map((limit) => {
    const line = [limit.device, ...rates.map(({ member, key }) => `${key}=${rateOf(limit, member) ?? "max"}`)].join(
      " ",
    );
    return {
      control: `limit.io.${limit.device}`,
      controller: "io",
      file: "io.max",
      value: line,
      stored: { kind: "line", line },
      carrier: "manager",
    };
  });
}

/** v1: one line a device in each of four files. */
export function v1Throttles(io: readonly IoLimit[] | undefined): CgroupSetting[] {
  return throttlesOf(io).flatMap((limit) =>
    rates.flatMap(({ member, key, file }): CgroupSetting[] => {
      const rate = rateOf(limit, member);
      if (rate === undefined) return [];
      const line = `${limit.device} ${rate}`;
      const control = `limit.io.${limit.device}.${key}`;
      return [{ control, controller: "blkio", file, value: line, stored: { kind: "line", line }, carrier: "manager" }];
    }),
  );
}

/** A rate; `undefined` where it limits nothing. */
function rateOf(limit: IoLimit, member: (typeof rates)[number]["member"]): number | undefined {
  const rate = limit[member];
  if (rate === undefined) return undefined;
  return member.endsWith("OperationsPerSecond") && rate >= OPERATIONS_UNLIMITED ? undefined : rate;
}
