import type { Host } from "../../host/host.ts";
import { WarderError } from "../../vm/error.ts";
import { type HostPath, toHostPath } from "../../vm/path.ts";
import { directoryProblems } from "../examine.ts";
import { MARK, type ServiceFile, type ServiceSettings, serviceFiles, UNIT } from "./files.ts";
import type { Step } from "./step.ts";

/** Where the service is put. */
export interface InstallTarget {
  /** The root of an image's file system, in place of this host's. */
  readonly root?: HostPath;
}

/**
 * Plans what is to be done until the service is in place: files, accounts, directories. What is as it should be is left
 * alone; nothing is started.
 *
 * @throws {@link WarderError} `permission-denied` where the unit would run as root what others can change, or where a
 * file of another's lies where one of the service belongs.
 */
export async function planInstall(host: Host, settings: ServiceSettings, target: InstallTarget): Promise<Step[]> {
  refuseChangeable(host, settings);
  const files = serviceFiles(host, settings).map((file) => ({ ...file, path: within(target, file.path) }));
  refuseForeign(host, files);
  const steps = files.map((file) => fileStep(host, file, settings));
  const [accounts, directories, unit] = steps as [Step, Step, Step];
  return [
    ...steps,
    accountStep(host, target, accounts),
    directoryStep(host, settings, target, directories),
    ...(await reload(host, target, unit)),
  ];
}

/** The path in the image. */
export function within({ root }: InstallTarget, path: string): HostPath {
  return toHostPath(`${root ?? ""}${path}`);
}

/** Whether a file was put there by an earlier run. */
export function isOurs(host: Host, path: HostPath): boolean {
  return host.files.readText(path).startsWith(MARK);
}

function fileStep(host: Host, { path, text, isOperators }: ServiceFile, { configLines }: ServiceSettings): Step {
  const found = host.files.inspectFollowing(path);
  if (found !== undefined && isOperators) {
    if (configLines.length > 0) throw isOperatorsToWrite(path, configLines);
    return { kind: "keep", what: path, why: "it is the operator's" };
  }
  if (found !== undefined && host.files.readText(path) === text) return { kind: "unchanged", what: path };
  return { kind: found === undefined ? "create" : "replace", what: path, apply: () => put(host, path, text) };
}

function isOperatorsToWrite(path: HostPath, lines: readonly string[]): WarderError {
  return new WarderError("invalid-argument", {
    doing: `installing the service ${UNIT}`,
    why: `settings were given as flags, and ${path} is the operator's to write`,
    cure: `Write them there: ${lines.join("; ")}`,
  });
}

function put(host: Host, path: HostPath, text: string): void {
  makeDirectories(host, path.slice(0, path.lastIndexOf("/")));
  host.files.writeText(path, text, { mode: 0o644, replace: true });
}

function makeDirectories(host: Host, path: string): void {
  if (path === "" || host.files.inspectFollowing(path)?.kind === "directory") return;
  makeDirectories(host, path.slice(0, path.lastIndexOf("/")));
  host.files.ensureDirectory(path, { mode: 0o755 });
}

function accountStep(host: Host, target: InstallTarget, file: Step): Step {
  const isThere = ["jailer", "warder"].every((name) => hasAccount(host, target, name));
  return toolStep(host, target, "systemd-sysusers", ["warder.conf"], isThere && file.apply === undefined);
}

function hasAccount(host: Host, target: InstallTarget, name: string): boolean {
  return ["/etc/passwd", "/etc/group"].every((file) => {
    const path = within(target, file);
    if (host.files.inspectFollowing(path) === undefined) return false;
    return host.files
      .readText(path)
      .split("\n")
      .some((line) => line.startsWith(`${name}:`));
  });
}

function directoryStep(
  host: Host,
  { stateDir, chrootBase, socketDir }: ServiceSettings,
  target: InstallTarget,
  file: Step,
): Step {
  const wanted = [stateDir, chrootBase, ...(socketDir === undefined ? [] : [socketDir])];
  const areThere = wanted.every((path) => host.files.inspectFollowing(within(target, path))?.kind === "directory");
  return toolStep(host, target, "systemd-tmpfiles", ["--create", "warder.conf"], areThere && file.apply === undefined);
}

function toolStep(host: Host, { root }: InstallTarget, tool: string, words: readonly string[], isDone: boolean): Step {
  const args = [...(root === undefined ? [] : [`--root=${root}`]), ...words];
  const what = [tool, ...args].join(" ");
  if (isDone) return { kind: "unchanged", what };
  return { kind: "run", what, apply: (signal) => runTool(host, tool, args, signal) };
}

/** Long enough for a tool that waits for the lock of the accounts, or for a systemd that has much to do. */
const TOOL_TIMEOUT_MS = 180_000;

/** Runs one of systemd's tools. */
export async function runTool(host: Host, tool: string, args: readonly string[], signal: AbortSignal): Promise<void> {
  await host.commands.run({ tool, args, signal, timeoutMs: TOOL_TIMEOUT_MS });
}

async function reload(host: Host, { root }: InstallTarget, unit: Step): Promise<Step[]> {
  const what = "systemctl daemon-reload";
  if (root !== undefined) return [];
  if (!isSystemdRunning(host)) return [{ kind: "skip", what, why: "systemd is not running here" }];
  if (unit.apply === undefined && (await isLoaded(host))) return [{ kind: "unchanged", what }];
  return [{ kind: "run", what, apply: (signal) => runTool(host, "systemctl", ["daemon-reload"], signal) }];
}

/** Whether systemd knows the unit as it lies there: an earlier run may have failed to tell it. */
async function isLoaded(host: Host): Promise<boolean> {
  const args = ["show", UNIT, "--property=LoadState,NeedDaemonReload"];
  const { stdout } = await host.commands.run({ tool: "systemctl", args, timeoutMs: TOOL_TIMEOUT_MS });
  return stdout.includes("LoadState=loaded") && stdout.includes("NeedDaemonReload=no");
}

/** As sd_booted(3) finds out. */
export function isSystemdRunning(host: Host): boolean {
  return host.files.inspect("/run/systemd/system")?.kind === "directory";
}

/** Looks at each file and all directories above it. */
function refuseChangeable(host: Host, { program, runs }: ServiceSettings): void {
  const there = [program, ...runs].filter((path) => host.files.inspectFollowing(path) !== undefined);
  const reasons = there.flatMap((path) => directoryProblems(host, host.files.resolve(path)));
  if (reasons.length === 0) return;
  throw new WarderError("permission-denied", {
    doing: `installing the service ${UNIT}`,
    why: `it would run as root what others can change: ${[...new Set(reasons)].join("; ")}`,
    cure: "Install Warder and Node where only root can write, such as with `npm install --global` as root",
  });
}

function refuseForeign(host: Host, files: readonly ServiceFile[]): void {
  const foreign = files.filter(
    ({ path, isOperators }) => !isOperators && host.files.inspectFollowing(path) !== undefined && !isOurs(host, path),
  );
  if (foreign.length === 0) return;
  throw new WarderError("permission-denied", {
    doing: `installing the service ${UNIT}`,
    why: `somebody else has put ${foreign.map(({ path }) => path).join(" and ")} there`,
    cure: "Move it away; what a host needs beyond Warder's own goes into a drop-in (`systemctl edit warder`)",
  });
}
