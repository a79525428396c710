import { toJsonString } from "@bufbuild/protobuf";
import {
  type BootConfig,
  type CpuConfig,
  type CreateVmRequest,
  type MemoryConfig,
  type StorageDevice,
  type VmConfig,
  VmConfigSchema,
} from "../../../gen/vmprovisioner/v1/vm_pb.js";
import { type FieldProblem, isWarderError, WarderError } from "../../vm/error.ts";
import { MEMORY_MINIMUM_MIB, parseVmSpec, type VmSpecInput } from "../../vm/spec.ts";
import { REQUEST_ANNOTATION } from "./config-of.ts";
import { toWireField } from "./field-names.ts";
import { networkProblems, toNetworks } from "./network.ts";

const BYTES_PER_MIB = 1024n * 1024n;

/**
 * What a caller of CreateVm wants, in the core's terms. The texts of problems that metald has too are metald's own.
 *
 * @throws {@link WarderError} `invalid-argument` with all wrong fields, under the names that they have on the wire.
 */
export function toSpecInput(request: CreateVmRequest): VmSpecInput {
  const { config } = request;
  const missing = config === undefined ? [{ field: "config", problem: "vm config is required" }] : missingOf(config);
  const input = config === undefined ? undefined : draft(request, config);
  const known = new Set(missing.map(({ field }) => field));
  const wrong = input === undefined ? [] : specProblems(input).filter(({ field }) => !known.has(field));
  const problems = [...missing, ...wrong];
  if (problems.length === 0 && input !== undefined) return input;
  throw new WarderError("invalid-argument", {
    doing: "reading the request for a VM",
    why: problems.length === 1 ? "one field is wrong" : `${problems.length} fields are wrong`,
    fields: problems,
  });
}

function missingOf({ cpu, memory, boot, storage, network }: VmConfig): FieldProblem[] {
  return [
    ...(cpu === undefined ? [{ field: "config.cpu", problem: "cpu configuration is required" }] : cpuProblems(cpu)),
    ...(memory === undefined
      ? [{ field: "config.memory", problem: "memory configuration is required" }]
      : memoryProblems(memory)),
    ...(boot === undefined
      ? [{ field: "config.boot", problem: "boot configuration is required" }]
      : bootProblems(boot)),
    ...storageProblems(storage),
    ...networkProblems(network),
  ];
}

function cpuProblems({ vcpuCount, maxVcpuCount }: CpuConfig): FieldProblem[] {
  if (vcpuCount <= 0) return [{ field: "config.cpu.vcpu_count", problem: "vcpu_count must be greater than 0" }];
  if (maxVcpuCount === 0 || maxVcpuCount >= vcpuCount) return [];
  const problem = "max_vcpu_count must be greater than or equal to vcpu_count";
  return [{ field: "config.cpu.max_vcpu_count", problem }];
}

function memoryProblems({ sizeBytes }: MemoryConfig): FieldProblem[] {
  const field = "config.memory.size_bytes";
  const least = BigInt(MEMORY_MINIMUM_MIB) * BYTES_PER_MIB;
  if (sizeBytes <= 0n) return [{ field, problem: "memory size_bytes must be greater than 0" }];
  if (sizeBytes < least) return [{ field, problem: `must be at least ${least}, which is ${MEMORY_MINIMUM_MIB} MiB` }];
  if (sizeBytes % BYTES_PER_MIB === 0n) return [];
  const below = sizeBytes - (sizeBytes % BYTES_PER_MIB);
  return [{ field, problem: `must be a whole number of MiB, such as ${below}` }];
}

/** A path is a path here: the words that the core has for its own guests are not metald's. */
function bootProblems({ kernelPath }: BootConfig): FieldProblem[] {
  const field = "config.boot.kernel_path";
  if (kernelPath === "") return [{ field, problem: "kernel_path is required" }];
  return kernelPath.startsWith("/") ? [] : [{ field, problem: "must be an absolute path" }];
}

function storageProblems(storage: readonly StorageDevice[]): FieldProblem[] {
  if (storage.length === 0) return [{ field: "config.storage", problem: "at least one storage device is required" }];
  return storage.flatMap(({ path, interfaceType }, index) => [
    ...(path === ""
      ? [{ field: `config.storage[${index}].path`, problem: `storage device ${index} path is required` }]
      : []),
    ...(["", "virtio-blk"].includes(interfaceType)
      ? []
      : [{ field: `config.storage[${index}].interface_type`, problem: "must be virtio-blk or empty" }]),
  ]);
}

/** What can be read of it, right or wrong. */
function draft(request: CreateVmRequest, config: VmConfig): VmSpecInput {
  const { cpu, memory, boot, storage, network, metadata } = config;
  const hasRoot = storage.some(({ isRootDevice }) => isRootDevice);
  return {
    ...(request.vmId === "" ? {} : { id: request.vmId }),
    ...(request.customerId === "" ? {} : { tenant: request.customerId }),
    kernel: boot?.kernelPath ?? "",
    ...(boot === undefined || boot.initrdPath === "" ? {} : { initrd: boot.initrdPath }),
    ...(boot === undefined || boot.kernelArgs === "" ? {} : { bootArgs: boot.kernelArgs }),
    ...(cpu === undefined ? {} : { vcpus: cpu.vcpuCount }),
    ...(memory === undefined ? {} : { memoryMib: Number(memory.sizeBytes / BYTES_PER_MIB) }),
    drives: storage.map(({ id, path, readOnly, isRootDevice }, index) => ({
      ...(id === "" ? {} : { id: id.replaceAll("-", "_") }),
      path,
      readOnly,
      root: hasRoot ? isRootDevice : index === 0,
    })),
    ...(network.length === 0 ? {} : { networks: toNetworks(network) }),
    labels: metadata,
    annotations: { [REQUEST_ANNOTATION]: toJsonString(VmConfigSchema, config) },
  };
}

/** An error about a VM's description with the names that the fields have on the wire. */
export function inWireNames(error: unknown): unknown {
  if (!isWarderError(error) || !["forbidden", "invalid-argument"].includes(error.code)) return error;
  const { code, doing, why, cure, cause } = error;
  return new WarderError(code, {
    doing,
    why,
    ...(cure === undefined ? {} : { cure }),
    fields: error.fields.map(({ field, problem }) => ({ field: toWireField(field), problem })),
    cause,
  });
}

/** What is wrong with the rest of it. A kernel that is none was told of already. */
function specProblems(input: VmSpecInput): FieldProblem[] {
  try {
    parseVmSpec(input.kernel.startsWith("/") ? input : { ...input, kernel: "probe" });
    return [];
  } catch (error) {
    if (!isWarderError(error)) throw error;
    return error.fields.map(({ field, problem }) => ({ field: toWireField(field), problem }));
  }
}
