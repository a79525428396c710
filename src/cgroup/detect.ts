import type { Host } from "../host/host.ts";
import { systemCodeOf } from "../vm/error.ts";
import { type HostPath, pathProblem, toHostPath } from "../vm/path.ts";
import { v1ControllerNames } from "./controllers.ts";
import { type MountLine, parseMounts } from "./mounts.ts";

/** One mounted cgroup hierarchy. */
export interface Hierarchy {
  /** Where it is mounted. */
  readonly directory: HostPath;
  /** Controllers it holds, in the words of its version; several where they are mounted together (`cpu,cpuacct`). */
  readonly controllers: readonly string[];
  /** Name of a v1 hierarchy that has one, such as `systemd`. */
  readonly name?: string;
  /** False where it is mounted read-only, as in containers. */
  readonly writable: boolean;
}

/** What the host's cgroups are, as far as a VM's limits depend on it. Read once, when a manager starts. */
export interface CgroupHost {
  /** v1 mounts, in the order of `/proc/self/mounts`: the first that has a controller is the one the jailer takes. */
  readonly v1: readonly Hierarchy[];
  /** The first cgroup2 mount, which is the one the jailer takes. */
  readonly v2?: Hierarchy;
  /** Bytes of a page: the unit that the kernel rounds memory limits down to. */
  readonly pageBytes: number;
  /** Files with which swap can be forbidden on this kernel, by version. */
  readonly swapFiles: { readonly v1: readonly string[]; readonly v2: readonly string[] };
  /** CPUs and memory nodes of the v1 cpuset root: what a v1 VM may use where it is not told. */
  readonly v1Cpuset: { readonly cpus: string; readonly memoryNodes: string };
}

/** Reads what cgroups a host has. Total: what is not there is absent from the answer. */
export function detectCgroups(host: Host): CgroupHost {
  const mounts = parseMounts(readOr(host, `${host.roots.proc}/self/mounts`, ""));
  const v1 = mounts.filter(({ type }) => type === "cgroup").flatMap(toV1);
  const v2 = mounts.filter(({ type }) => type === "cgroup2").flatMap((mount) => toV2(host, mount))[0];
  return Object.freeze({
    v1,
    ...(v2 === undefined ? {} : { v2 }),
    pageBytes: readPageBytes(host),
    swapFiles: { v1: v1SwapFiles(host, v1), v2: v2SwapFiles(host, v2) },
    v1Cpuset: readV1Cpuset(host, v1),
  });
}

/** The v1 hierarchy that holds a controller. */
export function v1HierarchyOf(cgroups: CgroupHost, controller: string): Hierarchy | undefined {
  return cgroups.v1.find(({ controllers }) => controllers.includes(controller));
}

function toV1(mount: MountLine): Hierarchy[] {
  if (pathProblem(mount.path) !== undefined) return [];
  const name = mount.options.find((option) => option.startsWith("name="))?.slice("name=".length);
  return [
    {
      directory: toHostPath(mount.path),
      controllers: mount.options.filter((option) => v1ControllerNames.has(option)),
      ...(name === undefined ? {} : { name }),
      writable: isWritable(mount),
    },
  ];
}

function toV2(host: Host, mount: MountLine): Hierarchy[] {
  if (pathProblem(mount.path) !== undefined) return [];
  const controllers = words(readOr(host, `${mount.path}/cgroup.controllers`, ""));
  return [{ directory: toHostPath(mount.path), controllers, writable: isWritable(mount) }];
}

function isWritable(mount: MountLine): boolean {
  return !mount.options.includes("ro");
}

/** v1 shows its files in the root too. */
function v1SwapFiles(host: Host, hierarchies: readonly Hierarchy[]): string[] {
  const memory = hierarchies.find(({ controllers }) => controllers.includes("memory"));
  if (memory === undefined) return [];
  // In this order: a total below the memory limit is refused, so the limit is written first.
  return ["memory.memsw.limit_in_bytes", "memory.swappiness"].filter((file) =>
    exists(host, `${memory.directory}/${file}`),
  );
}

/**
 * v2 has no `memory.swap.max` in the root, so a cgroup below it is asked; where there is none with the memory
 * controller, the kernel is: the file is there when swap is compiled in (`/proc/swaps`) and its accounting was not
 * switched off (`swapaccount=0`, of which kernels from 6.2 on take no notice).
 */
function v2SwapFiles(host: Host, hierarchy: Hierarchy | undefined): string[] {
  if (hierarchy === undefined || !hierarchy.controllers.includes("memory")) return [];
  const file = "memory.swap.max";
  const sample = childrenOf(host, hierarchy.directory).find((path) => exists(host, `${path}/memory.max`));
  if (sample !== undefined) return exists(host, `${sample}/${file}`) ? [file] : [];
  const accounted = !words(readOr(host, `${host.roots.proc}/cmdline`, "")).includes("swapaccount=0");
  return accounted && exists(host, `${host.roots.proc}/swaps`) ? [file] : [];
}

function readV1Cpuset(host: Host, hierarchies: readonly Hierarchy[]): CgroupHost["v1Cpuset"] {
  const root = hierarchies.find(({ controllers }) => controllers.includes("cpuset"))?.directory;
  if (root === undefined) return { cpus: "", memoryNodes: "" };
  return {
    cpus: readOr(host, `${root}/cpuset.cpus`, "").trim(),
    memoryNodes: readOr(host, `${root}/cpuset.mems`, "").trim(),
  };
}

const AT_PAGESZ = 6n;
const COMMON_PAGE_BYTES = 4096;

/** The auxiliary vector (getauxval(3)) is pairs of 64-bit words on every machine that runs Firecracker. */
function readPageBytes(host: Host): number {
  let vector: Uint8Array;
  try {
    vector = host.files.readHead(`${host.roots.proc}/self/auxv`, 1024);
  } catch {
    // No such file: not a real /proc. The common size is then as good as any.
    return COMMON_PAGE_BYTES;
  }
  const view = new DataView(vector.buffer, vector.byteOffset, vector.byteLength);
  for (let offset = 0; offset + 16 <= view.byteLength; offset += 16) {
    if (view.getBigUint64(offset, true) === AT_PAGESZ) return Number(view.getBigUint64(offset + 8, true));
  }
  return COMMON_PAGE_BYTES;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

function exists(host: Host, path: string): boolean {
  return host.files.inspect(path) !== undefined;
}

function readOr(host: Host, path: string, fallback: string): string {
  try {
    return host.files.readText(path);
  } catch (error) {
    if (systemCodeOf(error) !== undefined) return fallback;
    throw error;
  }
}

/** The cgroups right below one. */
function childrenOf(host: Host, directory: string): string[] {
  try {
    const paths = host.files.list(directory).map((name) => `${directory}/${name}`);
    return paths.filter((path) => host.files.inspect(path)?.kind === "directory");
  } catch (error) {
    if (systemCodeOf(error) !== undefined) return [];
    throw error;
  }
}
