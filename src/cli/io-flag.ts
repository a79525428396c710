import type { IoLimit } from "../vm/limits.ts";
import type { Parser } from "./flags.ts";

/** A throttle as it was written: the device may be a path yet. */
export interface IoFlag extends Omit<IoLimit, "device"> {
  /** `major:minor`, or the path of a block device. */
  readonly device: string;
}

type Rate = Exclude<keyof IoLimit, "device">;

/** The words of cgroup v2's `io.max`, which users know, and what they stand for. */
const rates: Readonly<Record<string, Rate>> = {
  rbps: "readBytesPerSecond",
  wbps: "writeBytesPerSecond",
  riops: "readOperationsPerSecond",
  wiops: "writeOperationsPerSecond",
};

const FACTORS: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** `DEV:RATE[,RATE…]`: `8:0:rbps=10M,wiops=200`, `/dev/vda:wbps=1048576`. */
export const io: Parser<IoFlag> = (given) => {
  const [, device, list] = /^(\d+:\d+|\/.*?):([a-z]+=.*)$/s.exec(given) ?? [];
  if (device === undefined || list === undefined) return { problem: FORM };
  const limit: { device: string } & Partial<Record<Rate, number>> = { device };
  for (const part of list.split(",")) {
    const [, name = "", digits = "", unit = ""] = /^([a-z]+)=(\d{1,15})([kmg]?)$/i.exec(part) ?? [];
    const rate = rates[name];
    const value = Number(digits) * (FACTORS[unit.toLowerCase()] ?? Number.NaN);
    if (rate === undefined || !Number.isSafeInteger(value) || value === 0) return { problem: FORM };
    limit[rate] = value;
  }
  return { value: limit };
};

const FORM = "must be DEV:RATE[,RATE...], such as 8:0:rbps=10M,wiops=200 with rbps, wbps, riops, wiops";
