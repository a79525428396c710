/** The microVM: what may be asked of it when, and what becomes of it. */
import type { GuestBehaviour } from "./behaviour.ts";
import { markedBehaviour } from "./behaviour.ts";
import type { Body } from "./bodies.ts";
import { checkDriveFile, patchRefusal, readKernel } from "./devices.ts";
import { Guest, type GuestPorts } from "./guest.ts";
import { updatedLimiter } from "./limiter.ts";
import { EXIT, endSuccessfully, endWithError, FatalError } from "./process-end.ts";
import { afterStart, beforeStart, notSupported, Refusal, RestoreFailure } from "./refusal.ts";
import { Resources, type Surroundings } from "./resources.ts";
import { Serial } from "./serial.ts";
import { readSnapshot, writeSnapshot } from "./snapshot.ts";

/** As `GET /` names it. */
export type VmState = "Not started" | "Running" | "Paused";

/** Of 4 KiB, which is what a balloon counts in. */
const PAGES_PER_MIB = 256;

/** One microVM, from "Not started" to the end of the process. */
export class Vmm {
  readonly resources: Resources;
  readonly #around: Surroundings;
  readonly #unmarkedGuest: GuestBehaviour;
  #state: VmState = "Not started";
  #guest: Guest | undefined;

  constructor(around: Surroundings, unmarkedGuest: GuestBehaviour) {
    this.resources = new Resources(around);
    this.#around = around;
    this.#unmarkedGuest = unmarkedGuest;
  }

  get state(): VmState {
    return this.#state;
  }

  /** For what is only possible before the start. */
  requireNotStarted(): void {
    if (this.#state !== "Not started") throw afterStart();
  }

  /** For what is only possible after the start. */
  requireStarted(): Guest {
    if (this.#guest === undefined) throw beforeStart();
    return this.#guest;
  }

  start(): void {
    this.requireNotStarted();
    if (this.resources.kernel === undefined) {
      const message = "Cannot start microvm without kernel configuration.";
      throw new Refusal("start", message, "MissingKernelConfig");
    }
    this.#begin(this.#bootedGuest(this.resources.kernel));
  }

  /** A kernel that can't be loaded takes the half-built VM with it, and leaves the process as it was. */
  #bootedGuest(kernel: number): Guest {
    try {
      return new Guest(markedBehaviour(readKernel(kernel)) ?? this.#unmarkedGuest, this.#ports());
    } catch (error) {
      this.#around.log.info("Vmm is stopping.");
      throw error;
    }
  }

  #begin(guest: Guest): void {
    this.#guest = guest;
    this.#around.metrics.flush();
    this.#resume(guest);
  }

  #resume(guest: Guest): void {
    const { log } = this.#around;
    const note = "immediate_exit was disabled before proceeding";
    log.info("Artificially kick devices.");
    if (this.#state !== "Running") {
      log.warn(`Received a VcpuEvent::Resume message with immediate_exit enabled. ${note}`, "fc_vcpu 0");
    }
    this.#state = "Running";
    guest.run();
  }

  setState(wanted: Body<"vmState">["state"]): void {
    const guest = this.requireStarted();
    if (wanted === "Resumed") this.#resume(guest);
    else {
      this.#state = "Paused";
      guest.pause();
    }
    this.#around.log.info(`'${wanted === "Paused" ? "pause" : "resume"} vm' VMM action took 100 us.`);
  }

  pressCtrlAltDel(): void {
    this.requireStarted().pressCtrlAltDel();
  }

  flushMetrics(): void {
    this.requireStarted();
    this.#around.metrics.flush();
  }

  createSnapshot(wanted: Body<"snapshotCreate">): void {
    const guest = this.requireStarted();
    const { release, translate, log } = this.#around;
    if (!release.v1_13) log.warn("[DevPreview] Virtual machine snapshots is in development preview.");
    if (wanted.snapshot_type === "Diff" && !release.v1_13 && !this.resources.machine.track_dirty_pages) {
      throw notSupported("Diff snapshots are not allowed on uVMs with dirty page tracking disabled.");
    }
    if (this.#state === "Running") {
      const problem = "Operation not allowed: save/restore unavailable while running";
      const message = `Cannot save the microVM state: ${problem}`;
      throw new Refusal("createSnapshot", message, "MicrovmState(NotAllowed)");
    }
    const { behaviour } = guest;
    const resources = this.resources.save();
    const version = release.snapshotVersion;
    writeSnapshot({ format: "warder-fake-snapshot", version, guest: behaviour, resources }, wanted, translate);
    const kind = wanted.snapshot_type === "Diff" ? "diff" : "full";
    log.info(`'create ${kind} snapshot' VMM action took 1000 us.`);
  }

  async loadSnapshot(wanted: Body<"snapshotLoad">): Promise<void> {
    this.requireNotStarted();
    if (this.resources.hasBootResources) {
      const message = "Loading a microVM snapshot not allowed after configuring boot-specific resources.";
      throw new Refusal("loadSnapshot", message, "LoadSnapshotNotAllowed");
    }
    const { release, translate, log } = this.#around;
    if (!release.v1_13) log.warn("[DevPreview] Virtual machine snapshots is in development preview.");
    const snapshot = readSnapshot(wanted, release, translate);
    const interfaces = snapshot.resources.interfaces.map((one) => {
      const override = wanted.network_overrides.find((candidate) => candidate.iface_id === one.iface_id);
      return override === undefined ? one : { ...one, host_dev_name: override.host_dev_name };
    });
    refuseUnknownOverrides(wanted, interfaces);
    const machine = { ...snapshot.resources.machine, track_dirty_pages: tracksDirtyPages(wanted) };
    await this.#restoreDevices({ ...snapshot.resources, interfaces, machine });
    const guest = new Guest(snapshot.guest, this.#ports(), true);
    this.#guest = guest;
    this.#state = "Paused";
    if (wanted.resume_vm) this.#resume(guest);
  }

  async #restoreDevices(saved: Parameters<Resources["restore"]>[0]): Promise<void> {
    const what = "Failed to build microVM from snapshot: Failed to restore MMIO device: Cannot restore devices";
    const fail = (problem: string) => {
      this.#around.log.info("Vmm is stopping.");
      return new RestoreFailure(`${what}: ${problem}`);
    };
    try {
      const problem = await this.resources.restore(saved);
      if (problem === undefined) return;
      throw fail(`VsockUnixBackend: Error binding to the host-side Unix socket: ${problem}`);
    } catch (error) {
      if (!(error instanceof Refusal) || error instanceof RestoreFailure) throw error;
      throw fail(`Block: ${error.message.replace("Unable to create the virtio block device: ", "")}`);
    }
  }

  describe(): Record<string, unknown> {
    const members = "boot-source, machine-config.smt, and machine-config.cpu_template";
    if (this.#state === "Not started") {
      this.#around.log.warn(`If the VM was restored from snapshot, ${members} will all be empty.`);
    }
    return this.resources.describe();
  }

  updateDrive(update: Body<"driveUpdate">): void {
    this.requireStarted();
    const drive = this.resources.drives.find((candidate) => candidate.drive_id === update.drive_id);
    if (drive === undefined) throw patchRefusal("Failed to find the device on the bus.");
    const { path_on_host: file, rate_limiter: limiter } = update;
    if (file === null && limiter === null) throw patchRefusal("Running method expected different backend.");
    if (file !== null) checkDriveFile(file, drive.is_read_only === true, this.#around.translate, "patch");
    const path_on_host = file ?? drive.path_on_host;
    const updated = { ...drive, path_on_host, rate_limiter: updatedLimiter(drive.rate_limiter, limiter) };
    this.resources.drives = this.resources.drives.map((one) => (one === drive ? updated : one));
  }

  updateInterface(update: Body<"networkInterfaceUpdate">): void {
    this.requireStarted();
    const { interfaces } = this.resources;
    const found = interfaces.find((one) => one.iface_id === update.iface_id);
    if (found === undefined) {
      const problem = "Device manager error: Failed to find the device on the bus.";
      throw new Refusal("network", `Unable to update the net device: ${problem}`, "DeviceUpdate(DeviceNotFound)");
    }
    const rx_rate_limiter = updatedLimiter(found.rx_rate_limiter, update.rx_rate_limiter);
    const tx_rate_limiter = updatedLimiter(found.tx_rate_limiter, update.tx_rate_limiter);
    const updated = { ...found, rx_rate_limiter, tx_rate_limiter };
    this.resources.interfaces = interfaces.map((one) => (one === found ? updated : one));
  }

  /** A balloon can't be changed until a driver in the guest has found it, and these guests have none. */
  updateBalloon(): void {
    this.requireStarted();
    this.#requireBalloon();
    throw balloonRefusal("Device not activated yet.");
  }

  updateBalloonStatistics({ stats_polling_interval_s: interval }: Body<"balloonStatistics">): void {
    this.requireStarted();
    const balloon = this.#requireBalloon();
    if ((interval === 0) !== (balloon.stats_polling_interval_s === 0)) {
      throw balloonRefusal("Statistics cannot be enabled/disabled after activation.");
    }
    this.resources.balloon = { ...balloon, stats_polling_interval_s: interval };
  }

  /** What the host wants, and that the guest has given nothing yet. */
  balloonStatistics(): Record<string, number> {
    this.requireStarted();
    const { amount_mib: target_mib, stats_polling_interval_s: interval } = this.#requireBalloon();
    if (interval === 0) throw balloonRefusal("Received stats querry when stats are disabled.");
    return { target_pages: target_mib * PAGES_PER_MIB, actual_pages: 0, target_mib, actual_mib: 0 };
  }

  balloon(): Body<"balloon"> {
    if (this.resources.balloon !== undefined) return this.resources.balloon;
    if (this.#state !== "Not started") return this.#requireBalloon();
    throw new Refusal("balloon", "No balloon device found.", "DeviceNotFound");
  }

  #requireBalloon(): Body<"balloon"> {
    if (this.resources.balloon === undefined) throw balloonRefusal("No balloon device found.");
    return this.resources.balloon;
  }

  #ports(): GuestPorts {
    const { release, log, metrics } = this.#around;
    const serial = new Serial(release, log, metrics);
    return { serial, log, metrics, stop: (code) => this.#stop(code) };
  }

  #stop(code: number): never {
    const { log, metrics } = this.#around;
    log.info("Vmm is stopping.");
    log.info("Vmm is stopping.");
    metrics.flush();
    if (code === EXIT.ok) return endSuccessfully(log);
    const message = `RunWithApiError error: MicroVMStopped with an error: ${code}`;
    return endWithError(new FatalError(message, `RunWithApi(MicroVMStoppedWithError(${code}))`, code), log);
  }
}

function refuseUnknownOverrides(wanted: Body<"snapshotLoad">, known: readonly { readonly iface_id: string }[]): void {
  const unknown = wanted.network_overrides.some(
    (override) => !known.some((candidate) => candidate.iface_id === override.iface_id),
  );
  if (unknown) throw new RestoreFailure("Failed to get snapshot state from file: Unknown Network Device.");
}

/** What a snapshot says of it does not count; each release has its own name for the wish. */
function tracksDirtyPages(wanted: Body<"snapshotLoad">): boolean {
  return wanted.enable_diff_snapshots || wanted.track_dirty_pages === true;
}

function balloonRefusal(problem: string): Refusal {
  return new Refusal("balloon", `Error creating the balloon device: ${problem}`, "DeviceNotFound");
}
