/**
 * The last step: the jailer becomes Firecracker. In plain mode it keeps its pid; with `--new-pid-ns` Firecracker is
 * its child and it exits 0 once the pid file is written; with `--daemonize` it exits 0 first, and all that follows is
 * silent. Small shell scripts stand for `fork`, which Node.js lacks.
 */
import { accessSync, closeSync, constants, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { keepWork } from "../common/keep-work.ts";
import { attempt, ERRNO, OsError } from "../common/os-error.ts";
import { toolPath } from "../common/tool.ts";
import { JAIL_PID_1, JAIL_ROOT, JAIL_USER } from "../firecracker/jail.ts";
import type { JailContext } from "./context.ts";
import { endingOf, execFirecracker, openFile } from "./error.ts";
import type { JailOptions } from "./options.ts";

/** Pid file written by the process that becomes Firecracker: `$1` pid file, then the command. */
const WRITE_OWN_PID = 'set -C; printf %s "$$" >"$1" || exit 1; shift; exec "$@"';

/**
 * Pid file written by the parent, after the child was let go: when the file exists already, the parent fails and the
 * child runs on unrecorded, just as with the real jailer. `$1` pid file, `$2` words and `$3` way of failing.
 */
const WRITE_CHILD_PID = `
pid_file=$1 words=$2 ending=$3; shift 3
exec 3<&0
"$@" <&3 3<&- &
exec 3<&-
set -C
{ printf %s "$!" >"$pid_file"; } 2>/dev/null && exit 0
printf %s "$words" >&2
[ "$ending" = abort ] && { ulimit -c 0; kill -ABRT $$; }
exit 1`;

/** Fork, let the parent exit, new session, fork again, standard streams to /dev/null. */
const DAEMONIZE = `
exec </dev/null >/dev/null 2>&1
setsid /bin/sh -c '"$@" &' sh "$@" &
exit 0`;

/** Replaces this process; returns only by failing. `beforeLeaving` runs when nothing is left that can fail. */
export function becomeFirecracker(jail: JailOptions, context: JailContext, beforeLeaving: () => void): never {
  const pidFile = `${jail.execName}.pid`;
  const command = [`./${jail.execName}`, ...firecrackerArguments(jail)];
  const line = [...namespaceAndLimits(jail, context), ...launching(jail, context, pidFile, command)];
  process.chdir(jail.root);
  if (!jail.daemonize && !jail.newPidNs) writeOwnPid(pidFile);
  attempt(() => accessSync(join(jail.root, jail.execName), constants.X_OK), execFirecracker);
  noteLastSteps(jail, context);
  beforeLeaving();
  closeInherited();
  return execute(line, environment(jail, context));
}

function writeOwnPid(pidFile: string): void {
  attempt(() => writeFileSync(pidFile, String(process.pid), { flag: "wx" }), openFile(`/${pidFile}`));
}

const CLOSED_ON_EXECUTE = 0o2000000;

/** Nothing but the three standard streams can be handed on to Firecracker. */
function closeInherited(): void {
  const files = readdirSync("/proc/self/fd").map(Number);
  for (const file of files.filter((one) => one > 2 && isHandedOn(one))) closeSync(file);
}

function isHandedOn(file: number): boolean {
  const info = existsSync(`/proc/self/fdinfo/${file}`) ? readFileSync(`/proc/self/fdinfo/${file}`, "utf8") : "";
  const flags = /^flags:\s*(\d+)$/m.exec(info)?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & CLOSED_ON_EXECUTE) === 0;
}

function noteLastSteps(jail: JailOptions, context: JailContext): void {
  if (jail.newPidNs) context.note({ action: "unshare", namespace: "pid" }, context.privileged);
  context.note({ action: "setuid", uid: jail.uid, gid: jail.gid }, context.privileged);
}

function firecrackerArguments(jail: JailOptions): string[] {
  const cpu = process.cpuUsage();
  return [
    ...["--id", jail.id],
    ...["--start-time-us", String(process.hrtime.bigint() / 1000n)],
    ...["--start-time-cpu-us", String(cpu.system)],
    ...["--parent-cpu-time-us", String(cpu.user + cpu.system)],
    ...jail.firecrackerArguments,
  ];
}

/** Node.js does not start with fewer open files. */
const LEAST_FILES = 64n;

/** Tools that change this process and then execute the rest of the line in it. */
function namespaceAndLimits(jail: JailOptions, context: JailContext): string[] {
  const { fsize, noFile } = jail.limits;
  const netns =
    jail.netns !== undefined && context.privileged ? [toolPath("nsenter"), `--net=${resolve(jail.netns)}`] : [];
  const files = noFile < LEAST_FILES ? LEAST_FILES : noFile;
  const limits = [`--nofile=${files}:${files}`, ...(fsize === undefined ? [] : [`--fsize=${fsize}:${fsize}`])];
  return [...netns, toolPath("prlimit"), ...limits];
}

function launching(jail: JailOptions, context: JailContext, pidFile: string, command: string[]): string[] {
  const daemonize = jail.daemonize ? [...shell(DAEMONIZE)] : [];
  if (!jail.newPidNs) return jail.daemonize ? [...daemonize, ...shell(WRITE_OWN_PID), pidFile, ...command] : command;
  const unshare = context.privileged ? [toolPath("unshare"), "--pid"] : [];
  return [
    ...daemonize,
    ...unshare,
    ...shell(WRITE_CHILD_PID),
    pidFile,
    ...pidFileFailure(pidFile, context),
    ...command,
  ];
}

/** What the script prints and does when the pid file exists. */
function pidFileFailure(pidFile: string, context: JailContext): [words: string, ending: string] {
  const ending = endingOf(openFile(`/${pidFile}`)(new OsError(ERRNO.EEXIST)), context.release);
  return [ending.stderr, ending.abort ? "abort" : "exit"];
}

function shell(script: string): string[] {
  return ["/bin/sh", "-c", script, "sh"];
}

function environment(jail: JailOptions, context: JailContext): Record<string, string> {
  return {
    [JAIL_ROOT]: jail.root,
    ...(context.privileged ? { [JAIL_USER]: `${jail.uid}:${jail.gid}` } : {}),
    ...(jail.newPidNs ? { [JAIL_PID_1]: "1" } : {}),
  };
}

function execute(argv: readonly string[], env: Record<string, string>): never {
  if (process.execve === undefined) throw new Error("The fake jailer needs Node.js 24 or newer (process.execve)");
  keepWork();
  return process.execve(argv[0] ?? "", argv, env);
}
