/** The jailer's cgroup work: what was asked is checked while arguments are parsed, and done after the limits. */
import { dirname, join } from "node:path";
import { attempt } from "../common/os-error.ts";
import type { Release } from "../common/release.ts";
import { debugString } from "../common/rust.ts";
import type { CgroupFiles } from "./cgroup-files.ts";
import { createDirectory, JailerError, readFile, valueError, writeFile } from "./error.ts";
import { isRelativeAndPlain, type JailOptions } from "./options.ts";

/** One `--cgroup file=value`, with the directory it goes into. */
interface Setting {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  readonly directory: string;
}

/** What is to be written, in the order it was asked for. */
export interface CgroupPlan {
  readonly version: number;
  readonly settings: readonly Setting[];
  readonly parentDepth: number;
}

type Wanted = Pick<JailOptions, "id" | "parentCgroup" | "cgroupVersion" | "cgroups">;

/** Called for each write, so that tests can read them without root. */
export type OnWrite = (path: string, value: string) => void;

/** Checks what was asked for; with version 2 and no `--cgroup` the process moves to the parent here and now. */
export function planCgroups(wanted: Wanted, files: CgroupFiles, release: Release, onWrite: OnWrite): CgroupPlan {
  if (wanted.cgroups.length === 0) {
    if (wanted.cgroupVersion === 2) moveToParent(wanted, files, release, onWrite);
    return { version: wanted.cgroupVersion, settings: [], parentDepth: 0 };
  }
  checkHierarchy(wanted.cgroupVersion, files);
  return {
    version: wanted.cgroupVersion,
    settings: wanted.cgroups.map((argument) => checkSetting(argument, wanted, files)),
    parentDepth: wanted.parentCgroup.split("/").filter((part) => part !== "" && part !== ".").length,
  };
}

function checkHierarchy(version: number, files: CgroupFiles): void {
  const found = version === 1 ? files.hasV1 : version === 2 && files.v2 !== undefined;
  if (found) return;
  const reason = "No hierarchy found for this cgroup version.";
  throw valueError("CgroupHierarchyMissing", `Hierarchy not found: ${reason}`, reason);
}

/** A parent that is not there is passed over in silence, and the process stays in its caller's cgroup. */
function moveToParent(wanted: Wanted, files: CgroupFiles, release: Release, onWrite: OnWrite): void {
  checkHierarchy(2, files);
  const parent = join(files.v2 ?? "", wanted.parentCgroup);
  if (!files.exists(parent)) return;
  const procs = join(parent, "cgroup.procs");
  const hint = `Hint: If you intended to create a child cgroup under ${parent}, pass any --cgroup parameters.`;
  onWrite(procs, String(process.pid));
  attempt(
    () => files.write(procs, String(process.pid)),
    (error) =>
      release.jailerPanics
        ? new JailerError(`Failed to write to cgroups file: ${error.display}`, `CgroupWrite(${error.debug})`)
        : new JailerError(
            `Failed to move process to cgroup (${parent}): ${error.display}.\n${hint}`,
            `CgroupMove(${debugString(parent)}, ${error.debug})`,
          ),
  );
}

function checkSetting(argument: string, wanted: Wanted, files: CgroupFiles): Setting {
  const [file, value, ...more] = argument.split("=");
  if (file === undefined || value === undefined || value === "" || more.length > 0) {
    throw valueError("CgroupFormat", `Invalid format for cgroups: ${argument}`, argument);
  }
  if (!isRelativeAndPlain(file)) throw invalidFile(argument);
  const dot = file.indexOf(".");
  if (dot === -1) throw invalidFile(file);
  const controller = file.slice(0, dot);
  const mount = mountOf(controller, wanted.cgroupVersion, files);
  if (mount === undefined) {
    throw valueError("CgroupControllerUnavailable", `Controller ${controller} is unavailable`, controller);
  }
  return { controller, file, value, directory: join(mount, wanted.parentCgroup, wanted.id) };
}

function invalidFile(file: string): JailerError {
  return valueError("CgroupInvalidFile", `Cgroup invalid file: ${file}`, file);
}

function mountOf(controller: string, version: number, files: CgroupFiles): string | undefined {
  if (version === 1) return files.v1(controller);
  const root = files.v2 ?? "";
  const available = files.read(join(root, "cgroup.controllers")).split(/\s+/);
  return available.includes(controller) ? root : undefined;
}

/** Writes every value first, then attaches this process: a failure leaves directories, and no process in them. */
export function applyCgroups(plan: CgroupPlan, files: CgroupFiles, onWrite: OnWrite): void {
  const write: OnWrite = (path, value) => {
    onWrite(path, value);
    attempt(() => files.write(path, `${value}\n`), writeFile(path));
  };
  for (const { directory } of plan.settings) {
    attempt(() => files.makeDirectory(directory), createDirectory(directory));
  }
  for (const setting of plan.settings) {
    if (plan.version === 1) inherit(setting.directory, setting.file, plan.parentDepth, files, write);
    else handDown(dirname(setting.directory), setting.controller, files, write);
    write(join(setting.directory, setting.file), setting.value);
  }
  const list = plan.version === 1 ? "tasks" : "cgroup.procs";
  for (const directory of new Set(plan.settings.map((setting) => setting.directory))) {
    write(join(directory, list), String(process.pid));
  }
}

/** v1: copies the parent's value down, filling empty ancestors (`cpuset.*`) on the way. */
function inherit(directory: string, file: string, depth: number, files: CgroupFiles, write: OnWrite): void {
  const parentFile = join(dirname(directory), file);
  const readParent = () => attempt(() => files.read(parentFile), readFile(parentFile)).slice(0, -1);
  if (readParent() === "" && depth > 0) inheritQuietly(dirname(directory), file, depth - 1, files, write);
  const line = readParent();
  if (line === "") {
    const message = `Failed to inherit cgroups configurations from file ${file} in path ${directory}`;
    throw valueError("CgroupInheritFromParent", message, directory, file);
  }
  write(join(directory, file), line);
}

/** Another jailer may have filled the ancestor meanwhile: only whether it is still empty counts. */
function inheritQuietly(directory: string, file: string, depth: number, files: CgroupFiles, write: OnWrite): void {
  try {
    inherit(directory, file, depth, files, write);
  } catch (error) {
    if (!(error instanceof JailerError)) throw error;
  }
}

/** v2: enables the controller in every ancestor from the root down to the parent. */
function handDown(directory: string, controller: string, files: CgroupFiles, write: OnWrite): void {
  const control = join(directory, "cgroup.subtree_control");
  if (!files.exists(control)) return;
  handDown(dirname(directory), controller, files, write);
  write(control, `+${controller}`);
}
