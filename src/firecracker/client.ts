import * as z from "zod";
import type { Host } from "../host/host.ts";
import type { HostPath } from "../vm/path.ts";
import * as answers from "./answers.ts";
import { type CallOptions, Connection } from "./exchange.ts";
import { requireOperation } from "./features.ts";
import {
  type BalloonCalls,
  balloonCalls,
  type Caller,
  type HotplugMemoryCalls,
  hotplugMemoryCalls,
} from "./memory-calls.ts";
import type * as models from "./models.ts";
import { type Operation, operationName, operations } from "./operations.ts";
import type { ReleaseVersion } from "./version.ts";

/** What a client speaks to. */
export interface ClientOptions {
  /** The API socket as the host sees it. */
  readonly socket: HostPath;
  /** Of the Firecracker behind it: requests that it would not understand are refused by name before they are sent. */
  readonly version: ReleaseVersion;
  /** Most bytes of a body; what `--http-api-max-payload-size` was given. Default 51200, as Firecracker's. */
  readonly bodyLimitBytes?: number;
}

const unplugOperations = {
  drive: operations.deleteDrive,
  "network-interface": operations.deleteNetworkInterface,
  pmem: operations.deletePmem,
} as const;

/**
 * Client of one Firecracker's API. Each operation has its own deadline (see `operations.ts`), which a call may
 * override, and takes a signal. Firecracker serves one request at a time: a snapshot holds up all others.
 *
 * Every method throws {@link WarderError}: `api-fault` with Firecracker's own text where it refuses, `api-protocol`
 * where the answer is not of its protocol (the connection is then dropped, and reopened by the next call),
 * `api-unreachable`, `deadline-exceeded`, `aborted`, `feature-unsupported`, `invalid-argument`.
 *
 * @example
 * const client = new FirecrackerClient(host, { socket, version });
 * const { state } = await client.instanceInfo();
 * if (state === "Running") await client.pause({ timeoutMs: 1_000 });
 */
export class FirecrackerClient {
  readonly version: ReleaseVersion;
  readonly balloon: BalloonCalls;
  readonly hotplugMemory: HotplugMemoryCalls;
  readonly #connection: Connection;

  constructor(host: Pick<Host, "sockets">, options: ClientOptions) {
    this.version = options.version;
    this.#connection = new Connection(host.sockets, options.socket, options.bodyLimitBytes);
    const caller: Caller = {
      send: (operation, body, callOptions) => this.#send(operation, body, callOptions),
      ask: (operation, answer, callOptions) => this.#ask(operation, answer, callOptions),
    };
    this.balloon = balloonCalls(caller);
    this.hotplugMemory = hotplugMemoryCalls(caller);
  }

  /** Closes the connection. A later call opens another. */
  close(): void {
    this.#connection.close();
  }

  /** Who answers, and what its VM does. Works at any time. */
  instanceInfo(options?: CallOptions): Promise<answers.InstanceInfo> {
    return this.#ask(operations.instanceInfo, answers.instanceInfo, options);
  }

  /** Firecracker's version, such as `1.12.1`. */
  async firecrackerVersion(options?: CallOptions): Promise<string> {
    return (await this.#ask(operations.version, answers.versionAnswer, options)).firecracker_version;
  }

  /** The machine as configured so far. */
  machineConfig(options?: CallOptions): Promise<answers.MachineConfigAnswer> {
    return this.#ask(operations.machineConfig, answers.machineConfig, options);
  }

  /** The whole configuration. */
  vmConfig(options?: CallOptions): Promise<answers.VmConfigAnswer> {
    return this.#ask(operations.vmConfig, answers.vmConfig, options);
  }

  /** Boots what was configured. Once, before anything runs. */
  start(options?: CallOptions): Promise<void> {
    return this.#send(operations.start, { action_type: "InstanceStart" }, options);
  }

  /** Writes metrics now, rather than once a minute. */
  flushMetrics(options?: CallOptions): Promise<void> {
    return this.#send(operations.flushMetrics, { action_type: "FlushMetrics" }, options);
  }

  /** Presses Ctrl-Alt-Del in the guest, x86-64 only. Done means that the keys are queued; the guest may ignore them. */
  sendCtrlAltDel(options?: CallOptions): Promise<void> {
    return this.#send(operations.ctrlAltDel, { action_type: "SendCtrlAltDel" }, options);
  }

  /** Stops all virtual CPUs. Fine if they are stopped already. `bugs.ts` says what this breaks in 1.16. */
  pause(options?: CallOptions): Promise<void> {
    return this.#send(operations.setState, { state: "Paused" }, options);
  }

  /** Lets the virtual CPUs run again. Fine if they do. */
  resume(options?: CallOptions): Promise<void> {
    return this.#send(operations.setState, { state: "Resumed" }, options);
  }

  /** Sets kernel, initrd and arguments. Before the start. */
  putBootSource(body: models.BootSource, options?: CallOptions): Promise<void> {
    return this.#send(operations.putBootSource, body, options);
  }

  /** Sets CPUs and memory; what is left out goes back to its default. Before the start. */
  putMachineConfig(body: models.MachineConfig, options?: CallOptions): Promise<void> {
    return this.#send(operations.putMachineConfig, body, options);
  }

  /** Changes some of CPUs and memory. Before the start. */
  patchMachineConfig(body: Partial<models.MachineConfig>, options?: CallOptions): Promise<void> {
    return this.#send(operations.patchMachineConfig, body, options);
  }

  /** Sets a custom CPU template. Before the start. */
  putCpuConfig(body: models.CpuConfig, options?: CallOptions): Promise<void> {
    return this.#send(operations.putCpuConfig, body, options);
  }

  /** Adds or replaces a disk. Before the start; later only with PCI, from 1.16. */
  putDrive(body: models.Drive, options?: CallOptions): Promise<void> {
    return this.#send(operations.putDrive, body, options, body.drive_id);
  }

  /** Gives a running VM's disk another file or limiter, or tells the guest that its size changed. */
  patchDrive(body: models.DrivePatch, options?: CallOptions): Promise<void> {
    return this.#send(operations.patchDrive, body, options, body.drive_id);
  }

  /** Adds or replaces a network interface. Before the start; later only with PCI, from 1.16. */
  putNetworkInterface(body: models.NetworkInterface, options?: CallOptions): Promise<void> {
    return this.#send(operations.putNetworkInterface, body, options, body.iface_id);
  }

  /** Changes the rate limiters of a running VM's interface. */
  patchNetworkInterface(body: models.NetworkInterfacePatch, options?: CallOptions): Promise<void> {
    return this.#send(operations.patchNetworkInterface, body, options, body.iface_id);
  }

  /** Adds or replaces a persistent memory device. From 1.14. */
  putPmem(body: models.Pmem, options?: CallOptions): Promise<void> {
    return this.#send(operations.putPmem, body, options, body.id);
  }

  /** Changes the rate limiter of a running VM's persistent memory. From 1.16. */
  patchPmem(body: models.PmemPatch, options?: CallOptions): Promise<void> {
    return this.#send(operations.patchPmem, body, options, body.id);
  }

  /** Takes a device on PCI from a running VM, whose guest must have let go of it. From 1.16, a developer preview. */
  unplug(kind: "drive" | "network-interface" | "pmem", id: string, options?: CallOptions): Promise<void> {
    return this.#send(unplugOperations[kind], undefined, options, id);
  }

  /** Adds or replaces the vsock device, whose socket must not be there. Before the start. */
  putVsock(body: models.Vsock, options?: CallOptions): Promise<void> {
    return this.#send(operations.putVsock, body, options);
  }

  /** Adds the entropy device. Before the start. */
  putEntropy(body: models.Entropy = {}, options?: CallOptions): Promise<void> {
    return this.#send(operations.putEntropy, body, options);
  }

  /** Sends the serial port's output to a file. Before the start, from 1.14. */
  putSerial(body: models.Serial, options?: CallOptions): Promise<void> {
    return this.#send(operations.putSerial, body, options);
  }

  /** Sets what is logged, and where. */
  putLogger(body: models.Logger, options?: CallOptions): Promise<void> {
    return this.#send(operations.putLogger, body, options);
  }

  /** Sets where metrics go. Once in a process's life. */
  putMetrics(body: models.Metrics, options?: CallOptions): Promise<void> {
    return this.#send(operations.putMetrics, body, options);
  }

  /** The metadata store: whatever JSON was put there. */
  mmds(options?: CallOptions): Promise<unknown> {
    return this.#ask(operations.mmds, z.json(), options);
  }

  /** Replaces the metadata store. */
  putMmds(body: Readonly<Record<string, unknown>>, options?: CallOptions): Promise<void> {
    return this.#send(operations.putMmds, body, options);
  }

  /** Merges into the metadata store (RFC 7396): `null` removes a member. */
  patchMmds(body: Readonly<Record<string, unknown>>, options?: CallOptions): Promise<void> {
    return this.#send(operations.patchMmds, body, options);
  }

  /** Sets which interfaces serve metadata, and how. Before the start. */
  putMmdsConfig(body: models.MmdsConfig, options?: CallOptions): Promise<void> {
    return this.#send(operations.putMmdsConfig, body, options);
  }

  /** Writes a snapshot of a paused VM. */
  createSnapshot(body: models.SnapshotCreate, options?: CallOptions): Promise<void> {
    return this.#send(operations.createSnapshot, body, options);
  }

  /** Restores a snapshot into a fresh process. Its failure ends the process. */
  loadSnapshot(body: models.SnapshotLoad, options?: CallOptions): Promise<void> {
    return this.#send(operations.loadSnapshot, body, options);
  }

  async #send(operation: Operation, body: unknown, options?: CallOptions, id?: string): Promise<void> {
    requireOperation(this.version, operationName(operation), body);
    await this.#connection.send({ operation, body, ...(id === undefined ? {} : { id }) }, options);
  }

  async #ask<Answer extends z.ZodType>(
    operation: Operation,
    answer: Answer,
    options?: CallOptions,
  ): Promise<z.output<Answer>> {
    requireOperation(this.version, operationName(operation), undefined);
    return this.#connection.ask({ operation }, answer, options);
  }
}
