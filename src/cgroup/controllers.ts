import type { Limits } from "../vm/limits.ts";
import { throttlesOf } from "./throttle.ts";

/** A controller that Warder limits with, in the words of cgroup v2. */
export type Controller = "memory" | "cpu" | "pids" | "cpuset" | "io";

/**
 * Controllers which every VM is placed in, limited or not: where one is not named, the jailer leaves the process in the
 * manager's own cgroup, and whoever stops the manager's service stops the VM (reference: jailer, traps 23 and 26).
 */
export const alwaysNamed: readonly Controller[] = Object.freeze(["memory", "cpu", "pids"]);

/** Controllers that these limits need, the three that are always named first. */
export function neededControllers(limits: Limits): Controller[] {
  const needsCpuset = limits.cpus !== undefined || limits.memoryNodes !== undefined;
  const needsIo = throttlesOf(limits.io).length > 0;
  return [...alwaysNamed, ...(needsCpuset ? (["cpuset"] as const) : []), ...(needsIo ? (["io"] as const) : [])];
}

/** Name of a controller in cgroup v1. */
export function v1Name(controller: Controller): string {
  return controller === "io" ? "blkio" : controller;
}

/**
 * Names that the kernel gives v1 controllers. A v1 mount's options mix them with others (`rw`, `xattr`,
 * `clone_children`), so the set must be known.
 */
export const v1ControllerNames: ReadonlySet<string> = new Set([
  "blkio",
  "cpu",
  "cpuacct",
  "cpuset",
  "debug",
  "devices",
  "dmem",
  "freezer",
  "hugetlb",
  "memory",
  "misc",
  "net_cls",
  "net_prio",
  "perf_event",
  "pids",
  "rdma",
]);
