import type { Host } from "../host/host.ts";
import { messageOf, systemCodeOf } from "../vm/error.ts";
import type { CgroupPlacement } from "../vm/record.ts";
import { type CgroupSetting, foundText, settingHolds, wantedText } from "./setting.ts";

/** One thing that was asked of a VM's cgroup, beside what the kernel says. Becomes a control of the isolation report. */
export interface CgroupReading {
  /** Such as `limit.memory` or `cgroup.memory`. */
  readonly control: string;
  readonly wanted: string;
  readonly found: string;
  readonly ok: boolean;
}

/** Reads every setting back. A file that is not there, or can not be read, is a reading that is not as wanted. */
export function readSettings(
  host: Host,
  placement: CgroupPlacement,
  settings: readonly CgroupSetting[],
): CgroupReading[] {
  return settings.map((setting) => {
    const { control } = setting;
    const wanted = wantedText(setting);
    const path = `${placement.directories[setting.controller]}/${setting.file}`;
    try {
      const text = host.files.readText(path);
      return { control, wanted, found: foundText(setting, text), ok: settingHolds(setting, text) };
    } catch (error) {
      return {
        control,
        wanted,
        found: `${path} can not be read: ${systemCodeOf(error) ?? messageOf(error)}`,
        ok: false,
      };
    }
  });
}

/**
 * Whether a process is in each of the VM's cgroups. It is looked up in the cgroup, not in `/proc/<pid>/cgroup`, whose
 * paths depend on the cgroup namespace of the reader and on what part of a hierarchy is mounted.
 */
export function readMembership(host: Host, placement: CgroupPlacement, pid: number): CgroupReading[] {
  return Object.entries(placement.directories).map(([controller, directory]) => {
    const control = `cgroup.${controller}`;
    const wanted = directory;
    const members = readMembers(host, directory);
    if (members === undefined) return { control, wanted, found: "no such cgroup", ok: false };
    const ok = members.includes(pid);
    return { control, wanted, found: ok ? directory : elsewhere(host, pid, controller), ok };
  });
}

function readMembers(host: Host, directory: string): number[] | undefined {
  try {
    return host.files.readText(`${directory}/cgroup.procs`).split("\n").filter(Boolean).map(Number);
  } catch (error) {
    if (["ENOENT", "ENODEV"].includes(systemCodeOf(error) ?? "")) return undefined;
    throw error;
  }
}

/** Where the process is instead, as evidence. A line is `<number>:<controllers>:<path>`; v2's has no controllers. */
function elsewhere(host: Host, pid: number, controller: string): string {
  try {
    const lines = host.files.readText(`${host.roots.proc}/${pid}/cgroup`).split("\n");
    const line =
      lines.find((each) => each.split(":")[1]?.split(",").includes(controller)) ??
      lines.find((each) => each.startsWith("0::"));
    return line === undefined ? "nowhere" : `elsewhere, in ${line.split(":").slice(2).join(":")}`;
  } catch (error) {
    if (systemCodeOf(error) !== undefined) return "no such process";
    throw error;
  }
}
