import * as z from "zod";

/** What a VM is doing, in Firecracker's words. */
export const instanceState = z.enum(["Not started", "Running", "Paused"]);

/** Answer to `GET /`. */
export const instanceInfo = z.object({
  id: z.string(),
  state: instanceState,
  vmm_version: z.string(),
  app_name: z.string(),
});

/** Answer to `GET /version`. */
export const versionAnswer = z.object({ firecracker_version: z.string() });

/** Answer to `GET /machine-config`. */
export const machineConfig = z.object({
  vcpu_count: z.int(),
  mem_size_mib: z.int(),
  smt: z.boolean(),
  track_dirty_pages: z.boolean(),
  huge_pages: z.string().optional(),
  cpu_template: z.string().nullish(),
});

/**
 * Answer to `GET /vm/config`: the sections of a configuration file, `null` where there is none. Only what is common to
 * all releases is checked; the rest is passed on. After a restore boot source, SMT and CPU template are empty in it.
 */
export const vmConfig = z.looseObject({
  "machine-config": machineConfig,
  "boot-source": z.looseObject({ kernel_image_path: z.string(), boot_args: z.string().nullish() }),
  drives: z.array(z.looseObject({ drive_id: z.string() })),
  "network-interfaces": z.array(z.looseObject({ iface_id: z.string() })),
});

/** Answer to `GET /balloon`. */
export const balloon = z.object({
  amount_mib: z.int(),
  deflate_on_oom: z.boolean(),
  stats_polling_interval_s: z.int(),
  free_page_hinting: z.boolean().optional(),
  free_page_reporting: z.boolean().optional(),
});

/** Answer to `GET /balloon/statistics`: the four of the device, and others that the guest says of itself. */
export const balloonStatistics = z.looseObject({
  target_pages: z.int(),
  actual_pages: z.int(),
  target_mib: z.int(),
  actual_mib: z.int(),
});

/** Answer to `GET /balloon/hinting/status`. */
export const hintingStatus = z.object({ host_cmd: z.int(), guest_cmd: z.int().nullish() });

/** Answer to `GET /hotplug/memory`. Plugging is done when `plugged_size_mib` is `requested_size_mib`. */
export const hotplugMemory = z.object({
  total_size_mib: z.int(),
  slot_size_mib: z.int(),
  block_size_mib: z.int(),
  plugged_size_mib: z.int(),
  requested_size_mib: z.int(),
});

/** Error of a request that was understood: the connection is fine. */
export const fault = z.object({ fault_message: z.string() });

/** See {@link instanceState}. */
export type InstanceState = z.output<typeof instanceState>;
/** See {@link instanceInfo}. */
export type InstanceInfo = z.output<typeof instanceInfo>;
/** See {@link machineConfig}. */
export type MachineConfigAnswer = z.output<typeof machineConfig>;
/** See {@link vmConfig}. */
export type VmConfigAnswer = z.output<typeof vmConfig>;
/** See {@link balloon}. */
export type BalloonAnswer = z.output<typeof balloon>;
/** See {@link balloonStatistics}. */
export type BalloonStatistics = z.output<typeof balloonStatistics>;
/** See {@link hintingStatus}. */
export type HintingStatus = z.output<typeof hintingStatus>;
/** See {@link hotplugMemory}. */
export type HotplugMemoryAnswer = z.output<typeof hotplugMemory>;
