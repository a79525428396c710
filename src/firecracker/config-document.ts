import type { HostPath, JailPath } from "../vm/path.ts";
import type { VmSpec } from "../vm/spec.ts";
import { requireFeature, requireOperation } from "./features.ts";
import type * as models from "./models.ts";
import { toRateLimiter } from "./rate-limit.ts";
import type { ReleaseVersion } from "./version.ts";

/** Where the files of a VM lie as Firecracker sees them: inside its jail, or on the host where it has none. */
export interface GuestFiles {
  readonly kernel: JailPath | HostPath;
  readonly initrd?: JailPath | HostPath;
  /** Of each of the spec's drives, by its id. */
  readonly drives: Readonly<Record<string, JailPath | HostPath>>;
}

/** Devices beyond what every VM has. */
export interface GuestDevices {
  readonly networkInterfaces?: readonly models.NetworkInterface[];
  readonly vsock?: models.Vsock;
  readonly mmds?: models.MmdsConfig;
  readonly entropy?: models.Entropy;
  readonly balloon?: models.Balloon;
  readonly pmem?: readonly models.Pmem[];
  readonly hotplugMemory?: models.HotplugMemory;
  readonly cpuConfig?: models.CpuConfig;
}

/** Firecracker's configuration file. Log and metrics are not in it: they are flags, so that a bad file is logged. */
export interface ConfigDocument {
  readonly "boot-source": models.BootSource;
  /** Must be there, if empty: Firecracker refuses a file without. */
  readonly drives: readonly models.Drive[];
  readonly "machine-config": models.MachineConfig;
  readonly "network-interfaces"?: readonly models.NetworkInterface[];
  readonly vsock?: models.Vsock;
  readonly "mmds-config"?: models.MmdsConfig;
  readonly entropy?: models.Entropy;
  readonly balloon?: models.Balloon;
  readonly pmem?: readonly models.Pmem[];
  readonly "memory-hotplug"?: models.HotplugMemory;
  readonly "cpu-config"?: models.CpuConfig;
}

/** The configuration of a VM, ready for `JSON.stringify`. Pure; holds only paths that the caller gives. */
export function configDocument(spec: VmSpec, files: GuestFiles, devices: GuestDevices = {}): ConfigDocument {
  return {
    "boot-source": {
      kernel_image_path: files.kernel,
      ...(files.initrd === undefined ? {} : { initrd_path: files.initrd }),
      boot_args: spec.bootArgs,
    },
    drives: spec.drives.map((drive) => ({
      drive_id: drive.id,
      path_on_host: driveFile(files, drive.id),
      is_root_device: drive.root,
      is_read_only: drive.readOnly,
      ...(drive.rateLimit === undefined ? {} : { rate_limiter: toRateLimiter(drive.rateLimit) }),
    })),
    "machine-config": { vcpu_count: spec.vcpus, mem_size_mib: spec.memoryMib },
    ...section("network-interfaces", devices.networkInterfaces),
    ...section("vsock", devices.vsock),
    ...section("mmds-config", devices.mmds),
    ...section("entropy", devices.entropy),
    ...section("balloon", devices.balloon),
    ...section("pmem", devices.pmem),
    ...section("memory-hotplug", devices.hotplugMemory),
    ...section("cpu-config", devices.cpuConfig),
  };
}

/**
 * Refuses a document that a release would not understand, by the name of what it lacks. Firecracker itself ends with
 * status 1 where a section or member is unknown to it.
 *
 * @throws {@link WarderError} `feature-unsupported`.
 */
export function requireDocument(version: ReleaseVersion, document: ConfigDocument): void {
  requireOperation(version, "PUT /machine-config", document["machine-config"]);
  for (const each of document["network-interfaces"] ?? []) requireOperation(version, "PUT /network-interfaces", each);
  for (const each of document.pmem ?? []) requireOperation(version, "PUT /pmem", each);
  requireOperation(version, "PUT /mmds/config", document["mmds-config"]);
  requireOperation(version, "PUT /balloon", document.balloon);
  if (document["memory-hotplug"] !== undefined) requireFeature(version, "hotplug-memory");
  if (document["cpu-config"] !== undefined) requireFeature(version, "config-cpu-template");
}

function driveFile(files: GuestFiles, id: string): string {
  const path = files.drives[id];
  if (path === undefined) throw new RangeError(`the drive ${id} has no path inside the jail`);
  return path;
}

function section<Name extends string, Value>(name: Name, value: Value | undefined): { readonly [Key in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { [Key in Name]: Value });
}
