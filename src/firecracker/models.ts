/**
 * Bodies of Firecracker's API, member for member as it names them, from its `firecracker.yaml` (1.12 to 1.17-dev) and
 * from what the program answers. Every path is one inside the jail. Members that not every supported version knows say
 * so; the client refuses them by name on an older one (see `features.ts`).
 */

/** One bucket of a rate limiter. A `size` or `refill_time` of 0 means no limit. */
export interface TokenBucket {
  /** Tokens that the bucket holds: bytes or operations. */
  readonly size: number;
  /** Milliseconds in which it fills. */
  readonly refill_time: number;
  /** Tokens beside `size` that are there at first, used first and never filled again. */
  readonly one_time_burst?: number;
}

/** Limits on bytes and on operations; an absent one limits nothing, and in a PATCH stays as it is. */
export interface RateLimiter {
  readonly bandwidth?: TokenBucket;
  readonly ops?: TokenBucket;
}

/** `PUT /boot-source`. The files are opened at the call. */
export interface BootSource {
  readonly kernel_image_path: string;
  readonly initrd_path?: string;
  /** At most 2047 bytes on x86-64. Replaces all default arguments. */
  readonly boot_args?: string;
}

/** `PUT /machine-config`. */
export interface MachineConfig {
  /** 1 to 32. */
  readonly vcpu_count: number;
  readonly mem_size_mib: number;
  readonly smt?: boolean;
  /** Needed for differential snapshots, before 1.13. */
  readonly track_dirty_pages?: boolean;
  /** `Transparent` from 1.17. */
  readonly huge_pages?: "None" | "2M" | "Transparent";
  /** Deprecated. */
  readonly cpu_template?: "C3" | "T2" | "T2S" | "T2CL" | "T2A" | "V1N1" | "None";
}

/** `PUT /cpu-config`: a custom CPU template, whose grammar is Firecracker's alone. */
export type CpuConfig = Readonly<Record<string, unknown>>;

/** `PUT /drives/{drive_id}`. */
export interface Drive {
  readonly drive_id: string;
  readonly is_root_device: boolean;
  readonly is_read_only?: boolean;
  readonly path_on_host?: string;
  readonly partuuid?: string;
  readonly cache_type?: "Unsafe" | "Writeback";
  /** `Async` is a developer preview. */
  readonly io_engine?: "Sync" | "Async";
  readonly rate_limiter?: RateLimiter;
  /** Of a vhost-user backend, instead of `path_on_host`. */
  readonly socket?: string;
}

/** `PATCH /drives/{drive_id}`. With no member but the id, it tells the guest to look at the disk's size again. */
export interface DrivePatch {
  readonly drive_id: string;
  readonly path_on_host?: string;
  readonly rate_limiter?: RateLimiter;
}

/** `PUT /network-interfaces/{iface_id}`. */
export interface NetworkInterface {
  readonly iface_id: string;
  /** TAP device, which is opened at the call. Made, if need be, where the process has CAP_NET_ADMIN. */
  readonly host_dev_name: string;
  readonly guest_mac?: string;
  /** From 1.16. */
  readonly mtu?: number;
  /** Towards the guest. */
  readonly rx_rate_limiter?: RateLimiter;
  readonly tx_rate_limiter?: RateLimiter;
}

/** `PATCH /network-interfaces/{iface_id}`: the limiters only. */
export interface NetworkInterfacePatch {
  readonly iface_id: string;
  readonly rx_rate_limiter?: RateLimiter;
  readonly tx_rate_limiter?: RateLimiter;
}

/** `PUT /vsock`. The socket is bound at the call. */
export interface Vsock {
  /** 3 or more. */
  readonly guest_cid: number;
  readonly uds_path: string;
}

/** `PUT /mmds/config`. */
export interface MmdsConfig {
  readonly network_interfaces: readonly string[];
  /** V1 is deprecated, and the default. */
  readonly version?: "V1" | "V2";
  readonly ipv4_address?: string;
  /** From 1.13. */
  readonly imds_compat?: boolean;
}

/** `PUT /balloon`. */
export interface Balloon {
  readonly amount_mib: number;
  readonly deflate_on_oom: boolean;
  /** 0, the default, means no statistics; it can not be switched on later. */
  readonly stats_polling_interval_s?: number;
  /** From 1.14. */
  readonly free_page_hinting?: boolean;
  /** From 1.14. */
  readonly free_page_reporting?: boolean;
}

/** `PUT /entropy`. */
export interface Entropy {
  readonly rate_limiter?: RateLimiter;
}

/** Words for how much is logged. */
export type LogLevel = "Off" | "Error" | "Warning" | "Info" | "Debug" | "Trace";

/** `PUT /logger`. */
export interface Logger {
  readonly log_path?: string;
  readonly level?: LogLevel;
  readonly show_level?: boolean;
  readonly show_log_origin?: boolean;
  readonly module?: string;
}

/** `PUT /metrics`: once in a process's life. */
export interface Metrics {
  readonly metrics_path: string;
}

/** `PUT /serial`, from 1.14. */
export interface Serial {
  readonly serial_out_path?: string;
  /** From 1.16. What exceeds it is dropped and counted. */
  readonly rate_limiter?: TokenBucket;
}

/** `PUT /pmem/{id}`, from 1.14. */
export interface Pmem {
  readonly id: string;
  readonly path_on_host: string;
  readonly root_device?: boolean;
  readonly read_only?: boolean;
  /** From 1.16. */
  readonly rate_limiter?: RateLimiter;
}

/** `PATCH /pmem/{id}`, from 1.16. */
export interface PmemPatch {
  readonly id: string;
  readonly rate_limiter?: RateLimiter;
}

/** `PUT /hotplug/memory`, from 1.14. */
export interface HotplugMemory {
  readonly total_size_mib: number;
  /** Default 2. */
  readonly block_size_mib?: number;
  /** Default 128. */
  readonly slot_size_mib?: number;
}

/** `PUT /snapshot/create`, of a paused VM. Both files are made with the jail's user as owner. */
export interface SnapshotCreate {
  readonly snapshot_path: string;
  readonly mem_file_path: string;
  readonly snapshot_type?: "Full" | "Diff";
}

/** `PUT /snapshot/load`, in a fresh process. Whatever fails in it ends the process. */
export interface SnapshotLoad {
  readonly snapshot_path: string;
  readonly mem_backend: { readonly backend_type: "File" | "Uffd"; readonly backend_path: string };
  readonly resume_vm?: boolean;
  /** Deprecated from 1.13 on, where `track_dirty_pages` takes its place. */
  readonly enable_diff_snapshots?: boolean;
  /** From 1.13. */
  readonly track_dirty_pages?: boolean;
  readonly network_overrides?: readonly { readonly iface_id: string; readonly host_dev_name: string }[];
  /** From 1.16. */
  readonly vsock_override?: { readonly uds_path: string };
  /** From 1.16, x86-64 only. */
  readonly clock_realtime?: boolean;
  /** From 1.17. */
  readonly huge_pages?: "None" | "2M" | "Transparent";
}
