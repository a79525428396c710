/** One operation of Firecracker's API, as far as sending it goes. */
export interface Operation {
  readonly method: "GET" | "PUT" | "PATCH" | "DELETE";
  /** Without the id that some end in: {@link operationName} is its key in the table of features. */
  readonly path: string;
  /** Most milliseconds it may take, unless the caller says otherwise. */
  readonly timeoutMs: number;
}

/**
 * Answered from memory by the API's one thread in under a millisecond, unless another request is before it. The rest is
 * for a machine that has no time for it.
 */
const QUICK_MS = 5_000;

/** Opens files or devices, or waits for the guest's threads. */
const DEVICE_MS = 10_000;

/** Loads a kernel and makes the guest's memory, which with huge pages is filled at once. */
const START_MS = 30_000;

/** Writes or reads the whole memory: at 100 MB a second, a slow disk, 60 GB. */
const SNAPSHOT_MS = 600_000;

const operation = (method: Operation["method"], path: string, timeoutMs: number): Operation =>
  Object.freeze({ method, path, timeoutMs });

/** All operations, with their default deadlines. Firecracker serves one at a time: a deadline covers the wait too. */
export const operations = Object.freeze({
  instanceInfo: operation("GET", "/", QUICK_MS),
  version: operation("GET", "/version", QUICK_MS),
  machineConfig: operation("GET", "/machine-config", QUICK_MS),
  vmConfig: operation("GET", "/vm/config", QUICK_MS),
  putMachineConfig: operation("PUT", "/machine-config", QUICK_MS),
  patchMachineConfig: operation("PATCH", "/machine-config", QUICK_MS),
  putCpuConfig: operation("PUT", "/cpu-config", QUICK_MS),
  putBootSource: operation("PUT", "/boot-source", DEVICE_MS),
  putDrive: operation("PUT", "/drives", DEVICE_MS),
  patchDrive: operation("PATCH", "/drives", DEVICE_MS),
  deleteDrive: operation("DELETE", "/drives", DEVICE_MS),
  putNetworkInterface: operation("PUT", "/network-interfaces", DEVICE_MS),
  patchNetworkInterface: operation("PATCH", "/network-interfaces", DEVICE_MS),
  deleteNetworkInterface: operation("DELETE", "/network-interfaces", DEVICE_MS),
  putPmem: operation("PUT", "/pmem", DEVICE_MS),
  patchPmem: operation("PATCH", "/pmem", DEVICE_MS),
  deletePmem: operation("DELETE", "/pmem", DEVICE_MS),
  putVsock: operation("PUT", "/vsock", DEVICE_MS),
  putEntropy: operation("PUT", "/entropy", QUICK_MS),
  putSerial: operation("PUT", "/serial", DEVICE_MS),
  putLogger: operation("PUT", "/logger", DEVICE_MS),
  putMetrics: operation("PUT", "/metrics", DEVICE_MS),
  putMmds: operation("PUT", "/mmds", QUICK_MS),
  patchMmds: operation("PATCH", "/mmds", QUICK_MS),
  mmds: operation("GET", "/mmds", QUICK_MS),
  putMmdsConfig: operation("PUT", "/mmds/config", QUICK_MS),
  balloon: operation("GET", "/balloon", QUICK_MS),
  putBalloon: operation("PUT", "/balloon", QUICK_MS),
  patchBalloon: operation("PATCH", "/balloon", QUICK_MS),
  balloonStatistics: operation("GET", "/balloon/statistics", QUICK_MS),
  patchBalloonStatistics: operation("PATCH", "/balloon/statistics", QUICK_MS),
  startHinting: operation("PATCH", "/balloon/hinting/start", QUICK_MS),
  stopHinting: operation("PATCH", "/balloon/hinting/stop", QUICK_MS),
  hintingStatus: operation("GET", "/balloon/hinting/status", QUICK_MS),
  hotplugMemory: operation("GET", "/hotplug/memory", QUICK_MS),
  putHotplugMemory: operation("PUT", "/hotplug/memory", QUICK_MS),
  patchHotplugMemory: operation("PATCH", "/hotplug/memory", QUICK_MS),
  start: operation("PUT", "/actions", START_MS),
  flushMetrics: operation("PUT", "/actions", QUICK_MS),
  ctrlAltDel: operation("PUT", "/actions", QUICK_MS),
  setState: operation("PATCH", "/vm", DEVICE_MS),
  createSnapshot: operation("PUT", "/snapshot/create", SNAPSHOT_MS),
  loadSnapshot: operation("PUT", "/snapshot/load", SNAPSHOT_MS),
});

/** `PUT /drives`: how errors and the table of features name an operation. */
export function operationName({ method, path }: Operation): string {
  return `${method} ${path}`;
}
