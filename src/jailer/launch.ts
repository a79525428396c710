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
  const readers = readFifos(host, layout);
  try {
    const output = fifosOf(layout).console;
    const child = await host.processes.spawn({ file, args, output, exitFile: exitFileOf(layout) });
    return { child, ...readers };
  } catch (error) {
    for (const reader of Object.values(readers)) reader.destroy();
    throw error;
  }
}

/** Opens the reading ends of what a jail prints: all of them or none. */
export function readFifos(host: Host, layout: JailLayout): Omit<Launch, "child"> {
  const fifos = fifosOf(layout);
  const opened: Readable[] = [];
  const open = (path: HostPath) => {
    const reader = host.fifos.read(path);
    opened.push(reader);
    return reader;
  };
  try {
    return { console: open(fifos.console), log: open(fifos.log), metrics: open(fifos.metrics) };
  } catch (error) {
    for (const reader of opened) reader.destroy();
    throw error;
  }
}

/** Where the exit status of a VM's process is written down, beside its FIFOs. */
export function exitFileOf(layout: JailLayout): HostPath {
  return toHostPath(`${layout.io}/exit`);
}

/**
 * How often it is looked for Firecracker before it has logged anything. Its first log line says that it is there, so this
 * is for a Firecracker that logs nothing: looking costs time that the jailer could use.
 */
const FAR_POLL_MS = 20;

/** What tells of a process that was started. */
export interface LaunchWatch {
  /** Settles when Firecracker has written its first log line. */
  readonly logged: Promise<void>;
  readonly ended: Promise<ProcessExit>;
}

/**
 * Waits until the jailer has become Firecracker. All that the jailer does is done then, and no instruction of a guest
 * runs before Firecracker has its configuration, which it gets through {@link waitForReader}.
 *
 * @returns Descriptor of the configuration's FIFO where Firecracker is found to ask for it already; as of {@link waitForReader}.
 * @throws {@link EndedEarly} where the process ends instead; the signal's reason.
 */
export async function waitForFirecracker(
  host: Host,
  layout: JailLayout,
  watch: LaunchWatch,
  signal: AbortSignal,
): Promise<number | undefined> {
  const ended = endingEarly(watch);
  const logged = watch.logged.then(() => true);
  for (;;) {
    signal.throwIfAborted();
    const pause = host.clock.sleep(FAR_POLL_MS, signal).then(() => false);
    if (await Promise.race([logged, ended, pause])) return undefined;
    const descriptor = host.fifos.openWriter(fifosOf(layout).config);
    if (descriptor !== undefined) return descriptor;
  }
}

/** How often the reader is looked for without pause, then with one: it is a millisecond away, unless something hangs. */
const QUICK_LOOKS = 3;
const LOOK_AGAIN_MS = 1;

/**
 * Waits until Firecracker asks for its configuration, which it then does not get before {@link Host.fifos} `send`.
 *
 * @returns Descriptor of the configuration's FIFO; the caller sends on it, or closes it.
 * @throws {@link EndedEarly} where the process ends instead; the signal's reason.
 */
export async function waitForReader(
  host: Host,
  layout: JailLayout,
  watch: Pick<LaunchWatch, "ended">,
  signal: AbortSignal,
): Promise<number> {
  const ended = endingEarly(watch);
  for (let look = 0; ; look++) {
    signal.throwIfAborted();
    const descriptor = host.fifos.openWriter(fifosOf(layout).config);
    if (descriptor !== undefined) return descriptor;
    await Promise.race([ended, look < QUICK_LOOKS ? nextTurn() : host.clock.sleep(LOOK_AGAIN_MS, signal)]);
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

function endingEarly({ ended }: Pick<LaunchWatch, "ended">): Promise<never> {
  const early = ended.then((exit) => Promise.reject(new EndedEarly(exit)));
  early.catch(() => undefined);
  return early;
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
