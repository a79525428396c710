import type { Vm } from "../../lifecycle/vm.ts";
import { Warder } from "../../lifecycle/warder.ts";
import type { VmSpecInput } from "../../vm/spec.ts";
import { printProof, printTimings } from "../proof-table.ts";
import { printJson, printNote, type Terminal } from "../terminal.ts";

/** `warder run`, parsed. */
export interface RunRequest {
  readonly spec: VmSpecInput;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly open: Parameters<typeof Warder.open>[0];
}

/** Starts a VM, shows its console, and ends with its exit. A signal stops it in order. */
export async function run(request: RunRequest, terminal: Terminal, signal: AbortSignal): Promise<number> {
  await using warder = await Warder.open(request.open);
  const show = request.json ? terminal.stderr : terminal.stdout;
  const vm = await warder.run(request.spec, { signal, onConsole: (chunk) => void show.write(chunk) });
  if (!request.json && !request.quiet) printProof(terminal, vm.inspect());
  const exit = await waitOrStop(vm, signal, terminal);
  if (request.json) printJson(terminal, vm.inspect());
  else if (!request.quiet) printTimings(terminal, vm.inspect());
  return exit;
}

async function waitOrStop(vm: Vm, signal: AbortSignal, terminal: Terminal): Promise<number> {
  const stop = () => {
    printNote(terminal, `warder: stopping ${vm.id} …`);
    vm.stop().catch((error: unknown) =>
      printNote(terminal, `warder: ${error instanceof Error ? error.message : error}`),
    );
  };
  signal.addEventListener("abort", stop, { once: true });
  const { cause, code } = await vm.wait();
  signal.removeEventListener("abort", stop);
  if (cause === "guest-ended") return 0;
  return code === null || code === 0 ? 1 : code;
}
