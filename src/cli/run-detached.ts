import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import type { Background, Host } from "../host/host.ts";
import { openThisMachine, type ThisMachine } from "../lifecycle/this-machine.ts";
import { WarderError } from "../vm/error.ts";
import { generateVmId } from "../vm/id.ts";
import { toHostPath } from "../vm/path.ts";
import type { VmView } from "../vm/view.ts";
import type { Interruption } from "./interruption.ts";
import { type MonitorAnswer, type MonitorTask, reviveError } from "./monitor-task.ts";
import { formatDetails } from "./open.ts";
import { Progress } from "./progress.ts";
import { tellStart } from "./run-report.ts";
import { inFlagNames, type RunRequest } from "./run-request.ts";
import { withHostSocket } from "./run-spec.ts";
import { harmless, paint, printJson, printLine, printNote, type Terminal } from "./terminal.ts";

/**
 * Starts a VM that stays when this command has ended. A process of its own, the monitor, starts it and looks after it:
 * it reads the console, sees the end and removes the jail. This one waits until the monitor says that the VM runs and
 * is proven, or why it does not.
 */
export async function runDetached(
  request: RunRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  const machine = openThisMachine(request.overrides);
  const task = toTask(request, machine);
  const monitor = await machine.host.processes.spawnBackground({
    file: toHostPath(process.execPath),
    args: [...process.execArgv, process.argv[1] ?? "", "monitor", String(task.spec.id)],
    environment: compileCache(),
    input: JSON.stringify(task),
  });
  const view = await awaitStart(machine.host, monitor, request, terminal, signal);
  monitor.release();
  tellStart(view, request, terminal);
  if (request.json) printJson(terminal, view);
  else printLine(terminal, view.id);
  return 0;
}

/** The monitor loads its code from where this process did. */
function compileCache(): Record<string, string> {
  const directory = getCompileCacheDir();
  return directory === undefined ? {} : { NODE_COMPILE_CACHE: dirname(directory) };
}

/** The id is chosen here, so that it stands in the monitor's command line, where `ps` shows it. */
function toTask({ spec, forget }: RunRequest, { host, config }: ThisMachine): MonitorTask {
  const id = spec.id ?? generateVmId(host.clock.nowNanoseconds());
  return { spec: withHostSocket({ ...spec, id }, config.stateDir), overrides: config, forget };
}

async function awaitStart(
  host: Host,
  monitor: Background,
  request: RunRequest,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<VmView> {
  const giveUp = () => {
    if (monitor.identity !== undefined) host.processes.signal(monitor.identity, "SIGTERM");
  };
  using progress = new Progress(terminal, `starting ${request.spec.id ?? "a VM"}`);
  if (signal.aborted) giveUp();
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    const answer = parseAnswer(await monitor.answer) ?? (await withoutAnswer(monitor, signal));
    progress.clear();
    for (const { message, details } of answer.warnings) warn(terminal, message, details);
    if ("view" in answer) return answer.view;
    throw inFlagNames(reviveError(answer.error, signal.aborted ? signal.reason : undefined), request);
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
