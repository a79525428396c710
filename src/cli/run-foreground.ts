import type { Vm } from "../lifecycle/vm.ts";
import type { Warder } from "../lifecycle/warder.ts";
import { messageOf } from "../vm/error.ts";
import type { VmExit } from "../vm/exit.ts";
import { ConsoleView } from "./console-view.ts";
import { exitStatusOf } from "./exit-status.ts";
import type { Interruption } from "./interruption.ts";
import { openWarder } from "./open.ts";
import { Progress } from "./progress.ts";
import { tellEnd, tellStart } from "./run-report.ts";
import { inFlagNames, type RunRequest } from "./run-request.ts";
import { withHostSocket } from "./run-spec.ts";
import { harmless, printJson, printNote, type Terminal } from "./terminal.ts";

/** Starts a VM, shows its console, and ends with its exit. An interruption ends it in order, a second one at once. */
export async function runForeground(
  request: RunRequest,
  terminal: Terminal,
  interruption: Interruption,
): Promise<number> {
  await using warder = await openWarder(request, terminal, { prepareStarts: true });
  const console = new ConsoleView(request.json ? terminal.stderr : terminal.stdout);
  const vm = await start(warder, request, terminal, console, interruption.signal);
  tellStart(vm.inspect(), request, terminal, console);
  const exit = await waitOrEnd(vm, terminal, console, interruption);
  console.end();
  tellEnd(vm.inspect(), request, terminal, console);
  if (request.json) printJson(terminal, vm.inspect());
  if (request.forget) await vm.remove();
  return exitStatusOf(exit);
}

async function start(
  warder: Warder,
  request: RunRequest,
  terminal: Terminal,
  console: ConsoleView,
  signal: AbortSignal,
): Promise<Vm> {
  const what = `starting ${request.spec.id ?? "a VM"}`;
  using progress = new Progress(terminal, what);
  let isLaunched = false;
  try {
    return await warder.run(withHostSocket(request.spec, warder.machinery.settings.stateDir), {
      signal,
      ...(request.idempotencyKey === undefined ? {} : { idempotencyKey: request.idempotencyKey }),
      onStep({ step }) {
        isLaunched ||= step === "launch";
        progress.update(`${what} (after ${step})`);
      },
      onConsole(chunk) {
        // Before Firecracker runs it is the jailer that speaks, and only of its failure, which the error quotes.
        if (!isLaunched) return;
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
  vm: Vm,
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
