import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import type { ConfigOverrides } from "../config/config.ts";
import type { Background, Host } from "../host/host.ts";
import { openThisMachine } from "../lifecycle/this-machine.ts";
import { WarderError } from "../vm/error.ts";
import { toHostPath } from "../vm/path.ts";
import type { VmView } from "../vm/view.ts";
import { formatDetails } from "./format-details.ts";
import { type MonitorAnswer, type MonitorJob, type MonitorTask, reviveError } from "./monitor-task.ts";
import { Progress } from "./progress.ts";
import { harmless, paint, printNote, type Terminal } from "./terminal.ts";

/**
 * Starts a process of its own that does a task and looks after its VM: it reads the console, sees the end, removes the
 * jail, and starts the VM again where its policy says so. Settles when that process says that the VM runs and is proven;
 * it goes on by itself then.
 *
 * @throws {@link WarderError} that the other process has met.
 */
export async function startMonitor(task: MonitorTask, terminal: Terminal, signal: AbortSignal): Promise<VmView> {
  const { host } = openThisMachine(task.overrides);
  const monitor = await spawnMonitor(host, task);
  const view = await awaitAnswer(host, monitor, idOf(task), terminal, signal);
  monitor.release();
  return view;
}

/** The same without waiting, for a VM that is in nobody's hands. */
export async function leaveToMonitor(task: MonitorTask): Promise<void> {
  const { host } = openThisMachine(task.overrides);
  (await spawnMonitor(host, task)).release();
}

/** A task with every setting as this process has it. */
export function toTask(job: MonitorJob, overrides: ConfigOverrides, forget = false): MonitorTask {
  return { job, overrides: openThisMachine(overrides).config, forget };
}

/** The id stands in the monitor's command line, where `ps` shows it. */
function spawnMonitor(host: Host, task: MonitorTask): Promise<Background> {
  return host.processes.spawnBackground({
    file: toHostPath(process.execPath),
    args: [...process.execArgv, process.argv[1] ?? "", "monitor", idOf(task)],
    environment: compileCache(),
    input: JSON.stringify(task),
  });
}

function idOf({ job }: MonitorTask): string {
  return job.kind === "run" ? (job.spec.id ?? "new") : job.id;
}

/** The monitor loads its code from where this process did. */
function compileCache(): Record<string, string> {
  const directory = getCompileCacheDir();
  return directory === undefined ? {} : { NODE_COMPILE_CACHE: dirname(directory) };
}

async function awaitAnswer(
  host: Host,
  monitor: Background,
  id: string,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<VmView> {
  const giveUp = () => {
    if (monitor.identity !== undefined) host.processes.signal(monitor.identity, "SIGTERM");
  };
  using progress = new Progress(terminal, `starting ${id}`);
  if (signal.aborted) giveUp();
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    const answer = parseAnswer(await monitor.answer) ?? (await withoutAnswer(monitor, signal));
    progress.clear();
    for (const { message, details } of answer.warnings) warn(terminal, message, details);
    if ("view" in answer) return answer.view;
    throw reviveError(answer.error, signal.aborted ? signal.reason : undefined);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

function parseAnswer(line: string | undefined): MonitorAnswer | undefined {
  return line === undefined ? undefined : (JSON.parse(line) as MonitorAnswer);
}

async function withoutAnswer(monitor: Background, interruption: AbortSignal): Promise<never> {
  const exit = await monitor.exited;
  const doing = "starting a VM in the background";
  // It was told to end before it could listen.
  if (interruption.aborted) throw WarderError.from(interruption.reason, "aborted", doing);
  throw new WarderError("internal", {
    doing,
    why: `its monitor ended with ${exit.signal ?? `status ${exit.code}`} before it answered: ${monitor.complaints.trim() || "it said nothing"}`,
    cure: "`warder gc` removes what it may have left",
  });
}

function warn(terminal: Terminal, message: string, details: Readonly<Record<string, unknown>>): void {
  const word = paint(terminal.stderr, "warn", "warning");
  printNote(terminal, `warder: ${word}: ${harmless(message)}${formatDetails(details)}`);
}
