import type { Duplex, Readable } from "node:stream";
import { WarderError } from "../../vm/error.ts";
import { vsockPortProblem } from "../../vm/vsock.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { ConsoleView } from "../console-view.ts";
import { seconds, whole } from "../flag-parsers.ts";
import { toggle, value } from "../flags.ts";
import type { Interruption } from "../interruption.ts";
import { openManager } from "../manager/open.ts";
import type { Terminal } from "../terminal.ts";

/** `warder vsock`, parsed. */
export interface VsockRequest extends CommonRequest {
  readonly verb: "connect" | "listen";
  readonly id: string;
  readonly port: number;
  /** Most time until there is a connection. Absent: 10 s for `connect`; as long as the VM runs for `listen`. */
  readonly timeoutMs?: number;
  readonly halfClose: "hold" | "pass";
}

export const vsockCommand = defineCommand({
  operands: { name: "connect|listen ID PORT", count: "each", help: "what to do, the VM, and the vsock port" },
  flags: {
    timeout: value("-t, --timeout <seconds>", seconds, "most time until there is a connection"),
    passEof: toggle("--pass-eof", "end the connection where standard input ends"),
  },
  details:
    "Joins standard input and output to one connection: `connect` makes it, to a program of the guest's that listens on\n" +
    "PORT; `listen` waits for a program of the guest's to make it, to PORT of the host (CID 2). It ends when the guest ends\n" +
    "it. The end of standard input alone does not end it, unless --pass-eof is given: Firecracker knows no half-closed\n" +
    "connections, and an answer that is under way would be lost.\n\n" +
    "The VM needs a vsock (`warder run --vsock`). All connections count within its limits, whichever process made them.",
  examples: [
    ["warder vsock connect vm-1 5000", "Talk to a program of the guest's"],
    ["echo status | warder vsock connect vm-1 5000", "Ask it something, and print what it answers"],
    ["warder vsock listen vm-1 52 > core.dump", "Take what the guest sends to port 52"],
  ],
  parse: ({ flags, operands: [verb = "", id = "", port], common, refuse }): VsockRequest => {
    if (verb !== "connect" && verb !== "listen" && verb !== "")
      refuse(verb, "is not known: it must be connect or listen");
    if (common.json) refuse("--json", "has no meaning here: standard output is the guest's");
    return {
      ...common,
      verb: verb === "listen" ? "listen" : "connect",
      id,
      port: port === undefined ? 0 : parsePort(port, refuse),
      halfClose: flags.passEof === true ? "pass" : "hold",
      ...(flags.timeout === undefined ? {} : { timeoutMs: flags.timeout }),
    };
  },
  execute: (request, terminal, interruption) => vsock(request, process.stdin, terminal, interruption),
});

function parsePort(text: string, refuse: (field: string, problem: string) => void): number {
  const parsed = whole(text);
  const problem = "problem" in parsed ? parsed.problem : vsockPortProblem(parsed.value);
  if (problem !== undefined) refuse("PORT", `${problem}, not ${JSON.stringify(text)}`);
  return "problem" in parsed ? 0 : parsed.value;
}

/** Joins one connection to standard input and output. */
export async function vsock(
  request: VsockRequest,
  input: Readable,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  await using manager = await openManager(request, terminal);
  const { port, timeoutMs, halfClose } = request;
  const wishes = { signal, halfClose, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  const stream = await manager.get(request.id)[request.verb === "connect" ? "connect" : "accept"](port, wishes);
  try {
    input.pipe(stream, { end: request.halfClose === "pass" });
    await show(stream, terminal, signal);
    return 0;
  } catch (error) {
    signal.throwIfAborted();
    throw WarderError.from(error, "vsock-broken", `speaking to vsock port ${request.port} of ${request.id}`);
  } finally {
    // Else this process would wait for the rest of it.
    input.unpipe(stream).destroy();
    stream.destroy();
  }
}

/** Everything that comes, until the guest has ended. On a terminal, nothing that drives more than the screen. */
async function show(stream: Duplex, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const view = new ConsoleView(terminal.stdout);
  const giveUp = () => void stream.destroy(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      view.show(chunk);
      await terminal.stdout.ready(signal);
    }
  } finally {
    signal.removeEventListener("abort", giveUp);
    view.end();
  }
}
