import type { OutputKind } from "../../lifecycle/follow.ts";
import type { Vm } from "../../lifecycle/vm.ts";
import type { Warder } from "../../lifecycle/warder.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { ConsoleView } from "../console-view.ts";
import { statusOf } from "../explain.ts";
import { whole } from "../flag-parsers.ts";
import { toggle, value } from "../flags.ts";
import type { Interruption } from "../interruption.ts";
import { JsonLines } from "../json-lines.ts";
import { openWarder } from "../open.ts";
import { lastLines } from "../../lifecycle/tail.ts";
import type { Terminal } from "../terminal.ts";

/** `warder logs`, parsed. */
export interface LogsRequest extends CommonRequest {
  readonly id: string;
  readonly kind: OutputKind;
  readonly follow: boolean;
  /** Begin with the last so many lines. Absent: with everything that is kept. */
  readonly tail?: number;
}

export const logsCommand = defineCommand({
  operands: { name: "ID", count: "one", help: "the VM" },
  flags: {
    follow: toggle("-f, --follow", "go on until the VM ends"),
    log: toggle("--log", "Firecracker's log instead of the guest's console"),
    tail: value("-n, --tail <lines>", whole, "begin with the last so many lines"),
  },
  details:
    "The newest output is kept, 4 MiB of a console and 1 MiB of a log (WARDER_CONSOLE_LIMIT_BYTES,\n" +
    "WARDER_LOG_LIMIT_BYTES), until `warder rm`. It is the guest's to choose: shown byte for byte in a pipe or a\n" +
    "file; on a terminal without what drives more than the screen (strings for the terminal such as titles and\n" +
    "clipboard, requests it answers, C1 controls).",
  examples: [
    ["warder logs vm-1", "The console of a VM, also after its end"],
    ["warder logs -f --tail 20 vm-1", "Its last lines, and what comes"],
    ["warder logs --log vm-1", "What Firecracker said"],
    ["warder logs --json vm-1 | jq -r .line", "Line by line, as JSON"],
  ],
  parse: ({ flags, operands, common }): LogsRequest => ({
    ...common,
    id: operands[0] ?? "",
    kind: flags.log === true ? "log" : "console",
    follow: flags.follow === true,
    ...(flags.tail === undefined ? {} : { tail: flags.tail }),
  }),
  execute: logs,
});

/** Where output goes, chunk by chunk. */
interface Sink {
  show(chunk: Uint8Array): void;
  end(): void;
}

/** Prints the kept output of a VM, and what comes. */
export async function logs(
  request: LogsRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  await using warder = await openWarder(request, terminal);
  const vm = warder.get(request.id);
  const sink: Sink = request.json ? new JsonLines(terminal, request.kind) : new ConsoleView(terminal.stdout);
  try {
    await printOutput(
      warder,
      vm,
      request,
      async (chunk) => {
        sink.show(chunk);
        await terminal.stdout.ready(signal);
      },
      signal,
    );
    return 0;
  } catch (error) {
    // Ctrl-C is how one stops looking: nothing failed.
    if (request.follow && signal.aborted) return statusOf(signal.reason);
    throw error;
  } finally {
    sink.end();
  }
}

async function printOutput(
  warder: Warder,
  vm: Vm,
  request: LogsRequest,
  show: (chunk: Uint8Array) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { OutputReader } = await import("../../lifecycle/follow.ts");
  using reader = new OutputReader(warder.machinery, vm.id, request.kind);
  const kept = reader.read();
  if (request.tail === undefined) for (const chunk of kept) await show(chunk);
  else await show(lastLines(kept, request.tail));
  if (!request.follow) return;
  // Nobody would read the output of a VM whose manager died; as long as it is followed, this process is its manager.
  if (vm.record.exit === undefined) vm.lookAfter();
  for await (const chunk of reader.follow(signal)) await show(chunk);
}
