import type { Host } from "../host/host.ts";
import { WarderError } from "../vm/error.ts";
import type { HostPath } from "../vm/path.ts";
import type { CgroupPlacement } from "../vm/record.ts";
import type { CgroupSetting } from "./setting.ts";

const rootDirectory = { mode: 0o755 };

/**
 * Writes the settings that the jailer can not carry, making the directories they need: throttles of block devices, for
 * which v2 must also pass `io` down. Settings that the jailer carries are left to it. Idempotent. Call it before the
 * guest runs.
 *
 * @throws {@link WarderError} `cgroup-unavailable` where the kernel takes a value or directory not.
 */
export function applySettings(host: Host, placement: CgroupPlacement, settings: readonly CgroupSetting[]): void {
  const carried = settings.filter(({ carrier }) => carrier === "manager");
  makeCgroups(host, placement, carried, [...new Set(carried.map(({ controller }) => controller))]);
}

/**
 * Makes a VM's cgroups and writes settings, whoever carries them, as the jailer would: parents first, values in order.
 * Idempotent.
 *
 * @param controllers - Keys of the placement's directories; every setting's controller must be among them.
 * @throws {@link WarderError} `cgroup-unavailable` where the kernel takes a value or directory not.
 */
export function makeCgroups(
  host: Host,
  placement: CgroupPlacement,
  settings: readonly CgroupSetting[],
  controllers: readonly string[],
): void {
  for (const controller of controllers) makeDirectory(host, placement, controller);
  for (const setting of settings) {
    write(host, `${directoryOf(placement, setting.controller)}/${setting.file}`, setting.value, cureFor(setting));
  }
}

/**
 * Puts a process, all its threads included, into the VM's cgroups of these controllers, making the directories. For v1
 * hierarchies that the jailer does not enter (`CompiledLimits.joins`). Where a directory is shared with a controller
 * that is not named (`cpu,cpuacct`), the jailer has done it already.
 *
 * The first move after a while takes the kernel about 10 ms, each further one 0.05 ms: call it soon after the jailer's
 * own moves, which is once Firecracker waits for its configuration.
 *
 * @throws {@link WarderError} `cgroup-unavailable` where the process has ended, or the kernel refuses.
 */
export function joinControllers(
  host: Host,
  placement: CgroupPlacement,
  controllers: readonly string[],
  pid: number,
): void {
  const others = Object.entries(placement.directories).filter(([controller]) => !controllers.includes(controller));
  const entered = new Set<string>(others.map(([, directory]) => directory));
  for (const controller of controllers) {
    const directory = directoryOf(placement, controller);
    if (entered.has(directory)) continue;
    makeDirectory(host, placement, controller);
    write(host, `${directory}/cgroup.procs`, String(pid), "Look whether the process still runs");
    entered.add(directory);
  }
}

function directoryOf(placement: CgroupPlacement, controller: string): HostPath {
  const directory = placement.directories[controller];
  if (directory !== undefined) return directory;
  throw new WarderError("internal", {
    doing: `finding the cgroup of ${placement.path}`,
    why: `it has none for ${controller}`,
  });
}

function makeDirectory(host: Host, placement: CgroupPlacement, controller: string): void {
  const directory = directoryOf(placement, controller);
  const mount = directory.slice(0, -placement.path.length);
  const parts = placement.path.split("/").slice(1);
  let above = mount;
  for (const part of parts) {
    if (placement.version === 2) passDown(host, above, controller);
    const here = `${above}/${part}`;
    attempt(`making the cgroup ${here}`, () => host.files.ensureDirectory(here, rootDirectory));
    if (placement.version === 1 && controller === "cpuset") fillCpuset(host, above, here);
    above = here;
  }
}

/** v2 shows a controller's files in a cgroup only once the cgroup above passes the controller down. */
function passDown(host: Host, directory: string, controller: string): void {
  const path = `${directory}/cgroup.subtree_control`;
  const passed = attempt(`reading ${path}`, () => host.files.readText(path)).split(/\s+/);
  if (!passed.includes(controller))
    write(host, path, `+${controller}`, "Move the processes of that cgroup into one below it");
}

/** A v1 cpuset begins empty, and one below an empty one can not be filled. */
function fillCpuset(host: Host, above: string, here: string): void {
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    const path = `${here}/${file}`;
    if (attempt(`reading ${path}`, () => host.files.readText(path)).trim() !== "") continue;
    write(host, path, attempt(`reading ${above}/${file}`, () => host.files.readText(`${above}/${file}`)).trim());
  }
}

function write(host: Host, path: string, value: string, cure?: string): void {
  attempt(`writing ${JSON.stringify(value)} to ${path}`, () => host.files.writeControl(path, value), cure);
}

function attempt<Result>(doing: string, act: () => Result, cure?: string): Result {
  try {
    return act();
  } catch (cause) {
    const known = WarderError.from(cause, "cgroup-unavailable", doing);
    if (known.code !== "cgroup-unavailable" || cure === undefined) throw known;
    throw new WarderError(known.code, { doing, why: known.why, cure, cause });
  }
}

function cureFor({ controller, value }: CgroupSetting): string | undefined {
  if (controller !== "io" && controller !== "blkio") return undefined;
  return `Name a whole disk, not a partition: ${value.split(" ")[0]} must be among the devices of /sys/dev/block`;
}
