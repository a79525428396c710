import { messageOf } from "../vm/error.ts";
import type { VmExit } from "../vm/exit.ts";
import { ConsoleView } from "./console-view.ts";
import { exitStatusOf } from "./exit-status.ts";
import type { Interruption } from "./interruption.ts";
import type { ManagedVm, Manager } from "./manager/manager.ts";
import { openManager } from "./manager/open.ts";
import { Progress } from "./progress.ts";
import { tellEnd, tellStart } from "./run-report.ts";
import { inFlagNames, type RunRequest } from "./run-request.ts";
import { harmless, printJson, printNote, type Terminal } from "./terminal.ts";

/** Starts a VM, shows its console, and ends with its exit. An interruption ends it in order, a second one at once. */
export async function runForeground(
  request: RunRequest,
  terminal: Terminal,
  interruption: Interruption,
): Promise<number> {
  await using manager = await openManager(request, terminal, { prepareStarts: true });
  const console = new ConsoleView(request.json ? terminal.stderr : terminal.stdout);
  const vm = await start(manager, request, terminal, console, interruption.signal);
  tellStart(await vm.inspect(), request, terminal, console);
  const exit = await waitOrEnd(vm, terminal, console, interruption);
  console.end();
  const view = await vm.inspect();
  tellEnd(view, request, terminal, console);
  if (request.json) printJson(terminal, view);
  if (request.forget) await vm.remove();
  return exitStatusOf(exit);
}

async function start(
  manager: Manager,
  request: RunRequest,
  terminal: Terminal,
  console: ConsoleView,
  signal: AbortSignal,
): Promise<ManagedVm> {
  const what = `starting ${request.spec.id ?? "a VM"}`;
  using progress = new Progress(terminal, what);
  try {
    return await manager.run(request.spec, {
      signal,
      ...(request.idempotencyKey === undefined ? {} : { idempotencyKey: request.idempotencyKey }),
      onStep: (step) => progress.update(`${what} (after ${step})`),
      onConsole(chunk) {
        progress[Symbol.dispose]();
        console.show(chunk);
      },
    });
  } catch (error) {
    console.end();
    throw inFlagNames(error, request);
  }
}

async function waitOrEnd(
  vm: ManagedVm,
  terminal: Terminal,
  console: ConsoleView,
  { signal, force }: Interruption,
): Promise<VmExit> {
  const say = (text: string) => {
    console.breakLine();
    printNote(terminal, `warder: ${text}`);
  };
  const over = new AbortController();
  // What a stop comes to is seen by the VM's end; that it failed is only told, as the VM is still to be waited for.
  const end = (how: (options: { signal: AbortSignal }) => Promise<unknown>, until: AbortSignal) =>
    void how({ signal: until }).catch((error: unknown) => {
      if (!until.aborted) say(harmless(messageOf(error)));
    });
  onAbort(signal, over.signal, () => {
    say(`stopping ${vm.id}; once more kills it`);
    end((options) => vm.stop(options), force);
  });
  onAbort(force, over.signal, () => {
    say(`killing ${vm.id}`);
    end((options) => vm.kill(options), over.signal);
  });
  try {
    return await vm.wait();
  } finally {
    over.abort();
  }
}

/** Calls back when a signal fires, or has fired already; until another one does. */
function onAbort(signal: AbortSignal, until: AbortSignal, callback: () => void): void {
  if (signal.aborted) callback();
  else signal.addEventListener("abort", callback, { once: true, signal: until });
}
