import type { VmView } from "../vm/view.ts";
import type { Interruption } from "./interruption.ts";
import { runInBackground } from "./manager/background.ts";
import { tellStart } from "./run-report.ts";
import { inFlagNames, type RunRequest } from "./run-request.ts";
import { printJson, printLine, type Terminal } from "./terminal.ts";

/**
 * Starts a VM that stays when this command has ended: the daemon looks after it, or a process of its own, the monitor.
 * Prints its id when it runs and is proven.
 */
export async function runDetached(
  request: RunRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  const view = await start(request, terminal, signal);
  tellStart(view, request, terminal);
  if (request.json) printJson(terminal, view);
  else printLine(terminal, view.id);
  return 0;
}

async function start(request: RunRequest, terminal: Terminal, signal: AbortSignal): Promise<VmView> {
  try {
    return await runInBackground(request, terminal, signal);
  } catch (error) {
    throw inFlagNames(error, request);
  }
}
