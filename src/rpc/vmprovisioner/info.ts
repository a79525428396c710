import type { MessageInitShape } from "@bufbuild/protobuf";
import type { GetVmInfoResponseSchema, VmInfoSchema, VmMetricsSchema } from "../../../gen/vmprovisioner/v1/vm_pb.js";
import { defaultTenant } from "../../vm/belongings.ts";
import type { VmRecord } from "../../vm/record.ts";
import { mibToBytes } from "../../vm/size.ts";
import type { VmMeasures } from "../host-port.ts";
import { configOf } from "./config-of.ts";
import { networkInfoOf } from "./network.ts";
import { toWireState } from "./states.ts";

/** A VM in short, for lists. */
export function toVmInfo({
  id,
  state,
  spec,
  createdAt,
  startedAt,
  exit,
}: VmRecord): MessageInitShape<typeof VmInfoSchema> {
  return {
    vmId: id,
    state: toWireState(state),
    vcpuCount: spec.vcpus,
    memorySizeBytes: BigInt(mibToBytes(spec.memoryMib)),
    createdTimestamp: toSeconds(createdAt),
    modifiedTimestamp: toSeconds(Math.max(createdAt, startedAt ?? 0, exit?.at ?? 0)),
    metadata: { ...spec.labels },
    customerId: spec.tenant ?? defaultTenant,
  };
}

/** All about one VM. */
export function toVmDetails(
  record: VmRecord,
  measures: VmMeasures | undefined,
): MessageInitShape<typeof GetVmInfoResponseSchema> {
  const network = networkInfoOf(record);
  return {
    vmId: record.id,
    config: configOf(record),
    state: toWireState(record.state),
    ...(measures === undefined ? {} : { metrics: toMetrics(measures) }),
    backendInfo: backendInfo(record),
    ...(network === undefined ? {} : { networkInfo: network }),
  };
}

function toMetrics(measures: VmMeasures): MessageInitShape<typeof VmMetricsSchema> {
  const { cpuPercent, memoryBytes, network, storage, uptimeMs } = measures;
  return {
    cpuUsagePercent: cpuPercent ?? 0,
    memoryUsageBytes: BigInt(memoryBytes ?? 0),
    uptimeSeconds: toSeconds(uptimeMs ?? 0),
    ...(network === undefined
      ? {}
      : {
          networkStats: {
            bytesReceived: BigInt(network.receivedBytes),
            bytesTransmitted: BigInt(network.sentBytes),
            packetsReceived: BigInt(network.receivedPackets),
            packetsTransmitted: BigInt(network.sentPackets),
          },
        }),
    ...(storage === undefined
      ? {}
      : {
          storageStats: {
            bytesRead: BigInt(storage.readBytes),
            bytesWritten: BigInt(storage.writtenBytes),
            readOperations: BigInt(storage.reads),
            writeOperations: BigInt(storage.writes),
          },
        }),
  };
}

/** How a VM is run: what metald's process record tells (`UseJailer`, `JailerID`, `ChrootPath`) and what proves it. */
function backendInfo(record: VmRecord): Record<string, string> {
  const { layout, jailed, isolation, cgroup, exit, process } = record;
  const facts: Record<string, string | number | undefined> = {
    backend: "firecracker",
    state: record.state,
    use_jailer: String(jailed),
    jailer_id: jailed ? record.id : undefined,
    chroot_path: jailed ? layout.alias : undefined,
    socket_path: layout.socket,
    pid: exit === undefined ? process?.pid : undefined,
    uid: record.uid,
    gid: record.gid,
    isolation: isolation?.level,
    isolation_gaps: isolation?.gaps.join("; ") || undefined,
    cgroup_version: cgroup?.version,
    firecracker_version: record.binaries.version,
    exit_cause: exit?.cause,
    exit_evidence: exit?.evidence.join("; ") || undefined,
  };
  const known = Object.entries(facts).filter((entry): entry is [string, string | number] => entry[1] !== undefined);
  return Object.fromEntries(known.map(([name, value]) => [name, String(value)]));
}

function toSeconds(milliseconds: number): bigint {
  return BigInt(Math.floor(milliseconds / 1000));
}
