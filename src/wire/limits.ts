import type { MessageInitShape } from "@bufbuild/protobuf";
import type { LimitsSchema, IoLimit as WireIoLimit, Limits as WireLimits } from "../../gen/warder/v1/vm_pb.js";
import type { IoLimit, Limits } from "../vm/limits.ts";
import { fromWhole, present, toWhole } from "./values.ts";

/** Limits as the core has them, or as a caller gives them, who has no brands and may name a member without a value. */
type Loose<T> = { readonly [Member in keyof T]?: Unbranded<T[Member]> | undefined };
type Unbranded<T> = T extends number ? number : T extends readonly (infer Item)[] ? readonly Loose<Item>[] : T;
export type LimitsInput = Loose<Limits>;

/** Limits for the wire. */
export function toWireLimits(limits: LimitsInput): MessageInitShape<typeof LimitsSchema> {
  const { memoryBytes, fileSizeBytes, io, ...rest } = limits;
  return present({
    ...rest,
    memoryBytes: toWhole(memoryBytes),
    fileSizeBytes: toWhole(fileSizeBytes),
    io: io?.map(toWireIo),
  });
}

/** Limits of the wire. */
export function fromWireLimits(limits: WireLimits): Limits {
  const { memoryBytes, cpuPercent, cpuWeight, cpus, memoryNodes, pids, io, openFiles, fileSizeBytes } = limits;
  const given = present({
    memoryBytes: fromWhole(memoryBytes),
    cpuPercent,
    cpuWeight,
    cpus,
    memoryNodes,
    pids,
    openFiles,
    fileSizeBytes: fromWhole(fileSizeBytes),
  });
  return { ...given, ...(io.length === 0 ? {} : { io: io.map(fromWireIo) }) } as unknown as Limits;
}

function toWireIo(limit: Loose<IoLimit>) {
  const { device, readBytesPerSecond, writeBytesPerSecond, readOperationsPerSecond, writeOperationsPerSecond } = limit;
  return present({
    device,
    readBytesPerSecond: toWhole(readBytesPerSecond),
    writeBytesPerSecond: toWhole(writeBytesPerSecond),
    readOperationsPerSecond: toWhole(readOperationsPerSecond),
    writeOperationsPerSecond: toWhole(writeOperationsPerSecond),
  });
}

function fromWireIo(limit: WireIoLimit): IoLimit {
  return present({
    device: limit.device,
    readBytesPerSecond: fromWhole(limit.readBytesPerSecond),
    writeBytesPerSecond: fromWhole(limit.writeBytesPerSecond),
    readOperationsPerSecond: fromWhole(limit.readOperationsPerSecond),
    writeOperationsPerSecond: fromWhole(limit.writeOperationsPerSecond),
  }) as IoLimit;
}
