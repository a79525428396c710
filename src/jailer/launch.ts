import type { Readable } from "node:stream";
import type { Child, Host } from "../host/host.ts";
import { systemCodeOf, WarderError } from "../vm/error.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import type { ProcessExit, ProcessIdentity } from "../vm/process.ts";
import type { JailLayout } from "../vm/record.ts";
import { fifosOf } from "./jail.ts";

/** A jailer that was started. */
export interface Launch {
  /** The jailer; without a new pid namespace it becomes Firecracker. */
  readonly child: Child;
  /** Output of the jailer, then of the guest's serial port. */
  readonly console: Readable;
  readonly log: Readable;
  readonly metrics: Readable;
}

/**
 * Starts a program (the jailer, or an unjailed Firecracker) with its output on the jail's console FIFO, and opens the
 * reading ends. The FIFOs must be there.
 */
export async function launch(host: Host, layout: JailLayout, file: HostPath, args: readonly string[]): Promise<Launch> {
  const fifos = fifosOf(layout);
  const readers = {
    console: host.fifos.read(fifos.console),
    log: host.fifos.read(fifos.log),
    metrics: host.fifos.read(fifos.metrics),
  };
  try {
    const child = await host.processes.spawn({ file, args, output: fifos.console, exitFile: exitFileOf(layout) });
    return { child, ...readers };
  } catch (error) {
    for (const reader of Object.values(readers)) reader.destroy();
    throw error;
  }
}

/** Where the exit status of a VM's process is written down, beside its FIFOs. */
export function exitFileOf(layout: JailLayout): HostPath {
  return toHostPath(`${layout.io}/exit`);
}

/**
 * How often the hold point is looked for before Firecracker has logged anything. Its first log line says that it is
 * near, so this is for a Firecracker that logs nothing: looking costs time that the jailer could use.
 */
const FAR_POLL_MS = 20;

/** How long it is looked for without pause once it is near: it is microseconds away, unless something hangs. */
const SPIN_MS = 5;
const NEAR_POLL_MS = 1;

/**
 * Waits until Firecracker asks for its configuration, which it then does not get before {@link Host.fifos} `send`. At
 * that point all that the jailer does is done, and not one instruction of the guest has run.
 *
 * @param near - Settles when Firecracker has written its first log line.
 * @returns Descriptor of the configuration's FIFO; the caller sends on it, or closes it.
 * @throws {@link WarderError} `jailer-failed` where the process ends instead; the signal's reason.
 */
export async function waitForHold(
  host: Host,
  layout: JailLayout,
  watch: { readonly near: Promise<void>; readonly ended: Promise<ProcessExit> },
  signal: AbortSignal,
): Promise<number> {
  const path = fifosOf(layout).config;
  let ended: ProcessExit | undefined;
  let nearSince: number | undefined;
  void watch.ended.then((exit) => {
    ended = exit;
  });
  void watch.near.then(() => {
    nearSince = host.clock.monotonic();
  });
  for (;;) {
    signal.throwIfAborted();
    const descriptor = host.fifos.openWriter(path);
    if (descriptor !== undefined) return descriptor;
    if (ended !== undefined) throw new EndedEarly(ended);
    if (nearSince === undefined) await Promise.race([watch.near, watch.ended, host.clock.sleep(FAR_POLL_MS, signal)]);
    else if (host.clock.monotonic() - nearSince < SPIN_MS) await new Promise(setImmediate);
    else await Promise.race([watch.ended, host.clock.sleep(NEAR_POLL_MS, signal)]);
  }
}

/** The process ended before it asked for its configuration. */
export class EndedEarly extends Error {
  readonly exit: ProcessExit;
  constructor(exit: ProcessExit) {
    super("the process ended before it asked for its configuration");
    this.exit = exit;
  }
}

/**
 * Which process is Firecracker. Without a new pid namespace the child itself; with one the child ends and has left the
 * pid in a file, which can be believed as long as Firecracker waits for its configuration: nothing untrusted has run.
 *
 * @throws {@link WarderError} `jailer-failed` where the pid file names another process.
 */
export function findFirecracker(
  host: Host,
  layout: JailLayout,
  child: Child,
  newPidNamespace: boolean,
): ProcessIdentity {
  const pid = newPidNamespace ? readPidFile(host, layout) : child.pid;
  const identity = host.processes.identify(pid);
  if (identity !== undefined && isFirecrackerOf(host, layout, pid)) return identity;
  throw new WarderError("jailer-failed", {
    doing: `finding Firecracker's process in the jail of ${layout.id}`,
    why: `process ${pid} is not it`,
  });
}

/** Whether a process has this VM's id on its command line, as only its Firecracker has. */
export function isFirecrackerOf(host: Host, layout: JailLayout, pid: number): boolean {
  try {
    const args = host.files.readText(`${host.roots.proc}/${pid}/cmdline`).split("\0");
    const position = args.indexOf("--id");
    return position > 0 && args[position + 1] === layout.id;
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "ENOENT" || code === "ESRCH") return false;
    throw error;
  }
}

function readPidFile(host: Host, layout: JailLayout): number {
  const path = `${layout.root}/${layout.execName}.pid`;
  const text = Buffer.from(host.files.readHead(path, 32)).toString("latin1").trim();
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw new WarderError("jailer-failed", {
    doing: `reading ${path}`,
    why: `it holds ${JSON.stringify(text)}, not a pid`,
  });
}
