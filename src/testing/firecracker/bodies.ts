/** The bodies of Firecracker's API and the sections of its configuration file, field by field, for one release. */
import type { Release } from "../common/release.ts";
import {
  anything,
  bool,
  checked,
  type Field,
  type Infer,
  list,
  nullable,
  oneOf,
  path,
  required,
  type Schema,
  string,
  struct,
  text,
  u8,
  u16,
  u32,
  u64,
  usize,
  withDefault,
} from "./schema.ts";

const MAC = /^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/;
const LEVELS = ["off", "error", "warn", "warning", "info", "debug", "trace"];

const macAddress = checked((value) => (MAC.test(value) ? undefined : "The provided MAC address is invalid."));
const logLevel = checked((value) => (LEVELS.includes(value.toLowerCase()) ? undefined : "Invalid LevelFilter"));

const anyAddress = text("IPv4 address");
const ipv4Address: Schema<string> = (reader) => {
  const value = anyAddress(reader);
  if (!isIpv4(value)) throw reader.error("invalid IPv4 address syntax");
  return value;
};

function isIpv4(value: string): boolean {
  const parts = value.split(".");
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256);
}

const tokenBucket = struct(
  "TokenBucketConfig",
  { size: required(u64), one_time_burst: nullable(u64), refill_time: required(u64) },
  { open: true },
);

const rateLimiter = struct("RateLimiterConfig", { bandwidth: nullable(tokenBucket), ops: nullable(tokenBucket) });

const huge = oneOf("None", "2M");
const cpuTemplate = oneOf("C3", "T2", "T2S", "None", "T2CL", "T2A");

/** Fields that a release has and an older one refuses. */
function since<F extends Readonly<Record<string, Field<unknown>>>>(has: boolean, fields: F): Partial<F> {
  return has ? fields : {};
}

/** All bodies of one release. */
export function bodiesOf(release: Release) {
  const bootSource = struct("BootSourceConfig", {
    kernel_image_path: required(string),
    initrd_path: nullable(string),
    boot_args: nullable(string),
  });
  const drive = struct("BlockDeviceConfig", {
    drive_id: required(string),
    partuuid: nullable(string),
    is_root_device: required(bool),
    cache_type: withDefault(oneOf("Unsafe", "Writeback"), "Unsafe"),
    is_read_only: nullable(bool),
    path_on_host: nullable(string),
    rate_limiter: nullable(rateLimiter),
    io_engine: nullable(oneOf("Async", "Sync")),
    socket: nullable(string),
  });
  const networkInterface = struct("NetworkInterfaceConfig", {
    iface_id: required(string),
    host_dev_name: required(string),
    guest_mac: nullable(macAddress),
    rx_rate_limiter: nullable(rateLimiter),
    tx_rate_limiter: nullable(rateLimiter),
    ...since(release.v1_16, { mtu: nullable(u16) }),
  });
  const vsock = struct("VsockDeviceConfig", {
    vsock_id: nullable(string),
    guest_cid: required(u32),
    uds_path: required(string),
  });
  const machine = struct("MachineConfig", {
    vcpu_count: required(u8),
    mem_size_mib: required(usize),
    smt: withDefault(bool, false),
    cpu_template: nullable(cpuTemplate),
    track_dirty_pages: withDefault(bool, false),
    huge_pages: withDefault(huge, "None"),
  });
  const logger = struct("LoggerConfig", {
    log_path: nullable(path),
    level: nullable(logLevel),
    show_level: nullable(bool),
    show_log_origin: nullable(bool),
    module: nullable(string),
  });
  const metrics = struct("MetricsConfig", { metrics_path: required(path) }, { open: true });
  const entropy = struct("EntropyDeviceConfig", { rate_limiter: nullable(rateLimiter) });
  const balloon = struct("BalloonDeviceConfig", {
    amount_mib: required(u32),
    deflate_on_oom: required(bool),
    stats_polling_interval_s: withDefault(u16, 0),
    ...since(release.v1_14, {
      free_page_hinting: withDefault(bool, false),
      free_page_reporting: withDefault(bool, false),
    }),
  });
  const mmdsConfig = struct("MmdsConfig", {
    version: withDefault(oneOf("V1", "V2"), "V1"),
    network_interfaces: required(list(string)),
    ipv4_address: nullable(ipv4Address),
    ...since(release.v1_13, { imds_compat: withDefault(bool, false) }),
  });
  const memoryBackend = struct("MemBackendConfig", {
    backend_path: required(path),
    backend_type: required(oneOf("File", "Uffd")),
  });
  return {
    action: struct("ActionBody", { action_type: required(oneOf("FlushMetrics", "InstanceStart", "SendCtrlAltDel")) }),
    balloon,
    balloonUpdate: struct("BalloonUpdateConfig", { amount_mib: required(u32) }),
    balloonStatistics: struct("BalloonUpdateStatsConfig", { stats_polling_interval_s: required(u16) }),
    bootSource,
    cpu: struct("CustomCpuTemplate", {
      kvm_capabilities: withDefault(list(anything), []),
      cpuid_modifiers: withDefault(list(anything), []),
      msr_modifiers: withDefault(list(anything), []),
    }),
    drive,
    driveUpdate: struct("BlockDeviceUpdateConfig", {
      drive_id: required(string),
      path_on_host: nullable(string),
      rate_limiter: nullable(rateLimiter),
    }),
    entropy,
    logger,
    machine,
    machineUpdate: struct("MachineConfigUpdate", {
      vcpu_count: nullable(u8),
      mem_size_mib: nullable(usize),
      smt: nullable(bool),
      cpu_template: nullable(cpuTemplate),
      track_dirty_pages: nullable(bool),
      huge_pages: nullable(huge),
    }),
    metrics,
    mmds: anything,
    mmdsConfig,
    networkInterface,
    networkInterfaceUpdate: struct("NetworkInterfaceUpdateConfig", {
      iface_id: required(string),
      rx_rate_limiter: nullable(rateLimiter),
      tx_rate_limiter: nullable(rateLimiter),
    }),
    memoryHotplug: struct("MemoryHotplugConfig", {
      total_size_mib: required(usize),
      block_size_mib: withDefault(usize, 2),
      slot_size_mib: withDefault(usize, 128),
    }),
    memoryHotplugUpdate: struct("MemoryHotplugSizeUpdate", { requested_size_mib: required(usize) }),
    pmem: struct("PmemConfig", {
      id: required(string),
      path_on_host: required(string),
      root_device: withDefault(bool, false),
      read_only: withDefault(bool, false),
      ...since(release.v1_16, { rate_limiter: nullable(rateLimiter) }),
    }),
    serial: struct("SerialConfig", {
      serial_out_path: nullable(path),
      ...since(release.v1_16, { rate_limiter: nullable(tokenBucket) }),
    }),
    snapshotCreate: struct("CreateSnapshotParams", {
      snapshot_type: withDefault(oneOf("Diff", "Full"), "Full"),
      snapshot_path: required(path),
      mem_file_path: required(path),
    }),
    snapshotLoad: struct("LoadSnapshotConfig", {
      snapshot_path: required(path),
      mem_file_path: nullable(path),
      mem_backend: nullable(memoryBackend),
      enable_diff_snapshots: withDefault(bool, false),
      ...since(release.v1_13, { track_dirty_pages: withDefault(bool, false) }),
      resume_vm: withDefault(bool, false),
      network_overrides: withDefault(
        list(struct("NetworkOverride", { iface_id: required(string), host_dev_name: required(string) })),
        [],
      ),
      ...since(release.v1_16, {
        vsock_override: nullable(struct("VsockOverride", { uds_path: required(string) })),
        clock_realtime: withDefault(bool, false),
      }),
    }),
    vmState: struct("Vm", { state: required(oneOf("Paused", "Resumed")) }),
    vsock,
    /** The configuration file: members in the order of the real one, of which the first missing is reported. */
    file: struct(
      "VmmConfig",
      {
        balloon: nullable(balloon),
        drives: required(list(drive)),
        "boot-source": required(bootSource),
        "cpu-config": nullable(path),
        logger: nullable(logger),
        "machine-config": nullable(machine),
        metrics: nullable(metrics),
        "mmds-config": nullable(mmdsConfig),
        "network-interfaces": withDefault(list(networkInterface), []),
        vsock: nullable(vsock),
        entropy: nullable(entropy),
      },
      { open: true },
    ),
  };
}

/** The descriptions of one release. */
export type Bodies = ReturnType<typeof bodiesOf>;

/** The value of one body. */
export type Body<K extends keyof Bodies> = Infer<Bodies[K]>;
