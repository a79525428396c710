/** What a microVM is configured with before it starts, section by section, each checked when it is given. */
import { closeSync } from "node:fs";
import { toOsError } from "../common/os-error.ts";
import type { Release } from "../common/release.ts";
import type { Body } from "./bodies.ts";
import { type BootSource, checkDrive, type Drive, openKernel, VsockSocket, vsockRefusal } from "./devices.ts";
import type { Translate } from "./jail.ts";
import type { Log } from "./log.ts";
import {
  type Balloon,
  checkBalloon,
  checkMac,
  checkMachine,
  checkMmdsConfig,
  checkTap,
  DEFAULT_MACHINE,
  type Machine,
  type NetworkInterface,
  type Taps,
} from "./machine-config.ts";
import type { Metrics } from "./metrics.ts";
import { Mmds } from "./mmds.ts";
import { Refusal } from "./refusal.ts";

/** What the configuration needs to know of the process around it. */
export interface Surroundings {
  readonly release: Release;
  readonly translate: Translate;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly taps: Taps;
  readonly mmdsLimitBytes: number;
}

/** The configuration as snapshots carry it. */
export interface SavedResources {
  readonly bootSource: BootSource | undefined;
  readonly machine: Machine;
  readonly drives: readonly Drive[];
  readonly interfaces: readonly NetworkInterface[];
  readonly balloon: Balloon | undefined;
  readonly entropy: Body<"entropy"> | undefined;
  readonly mmdsConfig: Body<"mmdsConfig"> | undefined;
  readonly vsock: Body<"vsock"> | undefined;
}

/** Where a guest finds the metadata unless told otherwise. */
const MMDS_ADDRESS = "169.254.169.254";

/** The configuration of one microVM. */
export class Resources {
  readonly mmds: Mmds;
  readonly #around: Surroundings;
  readonly #vsockSocket = new VsockSocket();
  #kernel: number | undefined;
  /** Whether anything but logger, metrics and MMDS was set: a snapshot can't be loaded over it. */
  hasBootResources = false;
  bootSource: BootSource | undefined;
  machine: Machine = DEFAULT_MACHINE;
  drives: readonly Drive[] = [];
  interfaces: readonly NetworkInterface[] = [];
  balloon: Balloon | undefined;
  entropy: Body<"entropy"> | undefined;
  mmdsConfig: Body<"mmdsConfig"> | undefined;
  vsock: Body<"vsock"> | undefined;

  constructor(around: Surroundings) {
    this.#around = around;
    this.mmds = new Mmds(around.mmdsLimitBytes);
  }

  /** The kernel file, open since the boot source was set. */
  get kernel(): number | undefined {
    return this.#kernel;
  }

  setBootSource(source: BootSource): void {
    this.hasBootResources = true;
    const kernel = openKernel(source, this.#around.translate);
    if (this.#kernel !== undefined) closeSync(this.#kernel);
    this.#kernel = kernel;
    this.bootSource = source;
  }

  /** Omitted members get their defaults, but a CPU template once set stays. */
  setMachine(machine: Machine): void {
    this.hasBootResources = true;
    checkMachine(machine, this.balloon);
    this.machine = { ...machine, cpu_template: machine.cpu_template ?? this.machine.cpu_template };
  }

  updateMachine(update: Body<"machineUpdate">): void {
    const given = Object.entries(update).filter(([, value]) => value !== null);
    this.setMachine({ ...this.machine, ...Object.fromEntries(given) });
  }

  /** A drive with a known id is replaced where it stands; the root drive goes first. */
  setDrive(drive: Drive): void {
    this.hasBootResources = true;
    const others = this.drives.filter((other) => other.drive_id !== drive.drive_id);
    if (drive.is_root_device && others.some((other) => other.is_root_device)) {
      throw new Refusal("drive", "A root block device already exists!", "RootBlockDeviceAlreadyAdded");
    }
    checkDrive(drive, this.#around.translate);
    if (drive.is_root_device) this.drives = [drive, ...others];
    else if (others.length === this.drives.length) this.drives = [...others, drive];
    else this.drives = this.drives.map((other) => (other.drive_id === drive.drive_id ? drive : other));
  }

  setInterface(wanted: NetworkInterface): void {
    this.hasBootResources = true;
    const others = this.interfaces.filter((other) => other.iface_id !== wanted.iface_id);
    checkMac(wanted, others);
    // An earlier interface with this id is gone even if the new one can't be had.
    this.interfaces = others;
    checkTap(wanted, others, this.#around.taps);
    this.interfaces = [...others, wanted];
  }

  async setVsock(vsock: Body<"vsock">): Promise<void> {
    this.hasBootResources = true;
    const problem = await this.#vsockSocket.open(vsock.uds_path, this.#around.translate);
    if (problem !== undefined) throw vsockRefusal(problem);
    this.vsock = vsock;
  }

  setBalloon(balloon: Balloon): void {
    this.hasBootResources = true;
    checkBalloon(balloon, this.machine);
    this.balloon = balloon;
  }

  setEntropy(entropy: Body<"entropy">): void {
    this.hasBootResources = true;
    this.entropy = entropy;
  }

  setMmdsConfig(config: Body<"mmdsConfig">): void {
    this.hasBootResources = true;
    checkMmdsConfig(config, this.interfaces);
    this.mmdsConfig = config;
  }

  setLogger(logger: Body<"logger">): void {
    const { log, translate } = this.#around;
    try {
      log.update({
        path: logger.log_path === null ? null : translate(logger.log_path),
        level: logger.level,
        showLevel: logger.show_level,
        showOrigin: logger.show_log_origin,
      });
    } catch (error) {
      const { display, debug } = toOsError(error);
      throw new Refusal("logger", `Failed to open target file: ${display}`, `LoggerUpdateError(${debug})`);
    }
  }

  setMetrics(path: string): void {
    const { metrics, translate } = this.#around;
    const refuse = (problem: string) => {
      const message = `Cannot initialize the metrics system due to bad user input: ${problem}`;
      return new Refusal("metrics", message, `InitializationFailure(${JSON.stringify(problem)})`);
    };
    if (metrics.isConfigured) throw refuse("Reinitialization of metrics not allowed.");
    try {
      metrics.configure(translate(path));
    } catch (error) {
      throw refuse(toOsError(error).display);
    }
  }

  save(): SavedResources {
    const { bootSource, machine, drives, interfaces, balloon, entropy, mmdsConfig, vsock } = this;
    return { bootSource, machine, drives, interfaces, balloon, entropy, mmdsConfig, vsock };
  }

  /** Takes over a snapshot's configuration; its files and sockets must be where they were. Says what is not. */
  async restore(saved: SavedResources): Promise<string | undefined> {
    const { drives, interfaces, vsock } = saved;
    for (const drive of drives) checkDrive(drive, this.#around.translate);
    for (const wanted of interfaces) checkTap(wanted, [], this.#around.taps);
    const problem = vsock && (await this.#vsockSocket.open(vsock.uds_path, this.#around.translate));
    if (problem !== undefined) return problem.display;
    Object.assign(this, saved);
    return undefined;
  }

  /** As `GET /vm/config` shows it. */
  describe(): Record<string, unknown> {
    const { balloon, bootSource, mmdsConfig: mmds, vsock } = this;
    return {
      balloon: balloon ?? null,
      drives: this.drives.map(describeDrive),
      "boot-source": bootSource ?? { kernel_image_path: "", initrd_path: null, boot_args: null },
      "cpu-config": null,
      logger: null,
      "machine-config": this.describeMachine(),
      metrics: null,
      "mmds-config": mmds === undefined ? null : { ...mmds, ipv4_address: mmds.ipv4_address ?? MMDS_ADDRESS },
      "network-interfaces": this.interfaces,
      vsock: vsock === undefined ? null : { guest_cid: vsock.guest_cid, uds_path: vsock.uds_path },
      entropy: this.entropy ?? null,
    };
  }

  /** As `GET /machine-config` shows it: without a CPU template there is no such member. */
  describeMachine(): Record<string, unknown> {
    const { cpu_template: template, vcpu_count, mem_size_mib, smt, track_dirty_pages, huge_pages } = this.machine;
    const shown = template === null ? {} : { cpu_template: template };
    return { vcpu_count, mem_size_mib, smt, ...shown, track_dirty_pages, huge_pages };
  }
}

function describeDrive(drive: Drive): Record<string, unknown> {
  const { drive_id, partuuid, is_root_device, cache_type, is_read_only, path_on_host, rate_limiter, socket } = drive;
  const io_engine = drive.io_engine ?? (socket === null ? "Sync" : null);
  const read_only = is_read_only ?? (socket === null ? false : null);
  return {
    drive_id,
    partuuid,
    is_root_device,
    cache_type,
    is_read_only: read_only,
    path_on_host,
    rate_limiter,
    io_engine,
    socket,
  };
}
