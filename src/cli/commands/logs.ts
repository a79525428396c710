import type { OutputKind } from "../../lifecycle/follow.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { ConsoleView } from "../console-view.ts";
import { statusOf } from "../explain.ts";
import { whole } from "../flag-parsers.ts";
import { toggle, value } from "../flags.ts";
import type { Interruption } from "../interruption.ts";
import { JsonLines } from "../json-lines.ts";
import { openManager } from "../manager/open.ts";
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
  await using manager = await openManager(request, terminal);
  const { kind, follow, tail: tailLines } = request;
  const sink: Sink = request.json ? new JsonLines(terminal, kind) : new ConsoleView(terminal.stdout);
  try {
    for await (const chunk of manager.get(request.id).output(kind, { follow, tailLines, signal })) {
      sink.show(chunk);
      await terminal.stdout.ready(signal);
    }
    return 0;
  } catch (error) {
    // Ctrl-C is how one stops looking: nothing failed.
    if (request.follow && signal.aborted) return statusOf(signal.reason);
    throw error;
  } finally {
    sink.end();
  }
}
