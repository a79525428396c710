import { Deadline } from "../host/deadline.ts";
import type { Host } from "../host/host.ts";
import { exitFileOf } from "../jailer/launch.ts";
import { WarderError } from "../vm/error.ts";
import type { ProcessExit, ProcessIdentity } from "../vm/process.ts";
import type { JailLayout } from "../vm/record.ts";
import type { StartContext } from "./start-context.ts";

/** SIGKILL of a VM with a GiB of memory is reaped in 17 ms; a machine under load may take its time. */
const KILL_TIMEOUT_MS = 10_000;

/**
 * Ends whatever a start has started, and waits until it is gone. Only then may anything of the VM be removed.
 *
 * @throws {@link WarderError} `process-stuck`.
 */
export async function endProcess(context: StartContext): Promise<void> {
  const { launch, machinery, plan } = context;
  if (launch === undefined) return;
  const { host } = machinery;
  for (const identity of [launch.child.identity, context.process]) {
    if (identity !== undefined) host.processes.signal(identity, "SIGKILL");
  }
  using timeout = new Deadline(KILL_TIMEOUT_MS);
  const { signal: deadline } = timeout;
  const gone = [
    launch.child.exited,
    ...(context.process === undefined ? [] : [host.processes.waitForEnd(context.process, deadline)]),
  ];
  const late = new Promise<never>((_resolve, reject) => {
    deadline.addEventListener("abort", () => reject(processStuck(plan.id, launch.child.pid)), { once: true });
  });
  await Promise.race([Promise.all(gone), late]);
}

/**
 * Kills processes that are known to be a VM's, and waits until they are gone.
 *
 * @throws {@link WarderError} `process-stuck`.
 */
export async function killAndWait(host: Host, id: string, processes: readonly ProcessIdentity[]): Promise<void> {
  for (const identity of processes) host.processes.signal(identity, "SIGKILL");
  for (const identity of processes) {
    using timeout = new Deadline(KILL_TIMEOUT_MS);
    const { signal: deadline } = timeout;
    await host.processes.waitForEnd(identity, deadline).catch((error: unknown) => {
      throw deadline.aborted ? processStuck(id, identity.pid) : error;
    });
  }
}

/** Some microseconds pass between a process's end and its exit status being written down; more on a busy machine. */
const EXIT_FILE_TIMEOUT_MS = 1_000;
const LOOK_AGAIN_MS = 5;

/** A process that is nobody's child is looked at so often, where nothing else tells of its end. */
const QUIET_POLL_MS = 5_000;
/** Once its output has ended, its own end is near. */
const NEAR_POLL_MS = 5;

/**
 * The end of a process that this process did not start, with its status where that was written down. The end of its
 * output tells of it at once; as a process may close its output and live on, it is looked at too.
 *
 * @param outputEnded - Settles when nobody has the VM's console open for writing any more.
 * @param letGo - Fires when this process lets go of the VM: it never sees the end then, and must not go on to look for
 * it, as it could never end itself.
 */
export async function endOfOther(
  host: Host,
  vm: OtherProcess,
  outputEnded: Promise<void>,
  letGo: AbortSignal,
): Promise<ProcessExit & { readonly at?: number }> {
  try {
    return await findEnd(host, vm, outputEnded, letGo);
  } catch (error) {
    if (!letGo.aborted) throw error;
    return new Promise<never>(() => undefined);
  }
}

interface OtherProcess {
  readonly process: ProcessIdentity;
  readonly layout: JailLayout;
}

async function findEnd(
  host: Host,
  { process, layout }: OtherProcess,
  outputEnded: Promise<void>,
  signal: AbortSignal,
): Promise<ProcessExit & { readonly at?: number }> {
  while (host.processes.isAlive(process) && !(await settlesWithin(outputEnded, QUIET_POLL_MS, signal)));
  for (let pollMs = NEAR_POLL_MS; host.processes.isAlive(process); pollMs = Math.min(2 * pollMs, QUIET_POLL_MS)) {
    await host.clock.sleep(pollMs, signal);
  }
  return recordedExit(host, layout, process);
}

/**
 * Whether something settles in time; throws the signal's reason. There is one of these for each VM that was taken over,
 * so it is made of little; and it keeps no process from ending.
 */
async function settlesWithin(work: Promise<void>, milliseconds: number, signal: AbortSignal): Promise<boolean> {
  signal.throwIfAborted();
  const settled = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => settled.resolve(false), milliseconds).unref();
  const onAbort = () => settled.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  void work.then(() => settled.resolve(true));
  try {
    return await settled.promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

/** The exit status of a process that has ended, as it was written down; unknown where it was not, within a second. */
export async function recordedExit(
  host: Host,
  layout: JailLayout,
  { pid, bootId }: ProcessIdentity,
): Promise<ProcessExit & { readonly at?: number }> {
  // After a boot nobody is there any more who could be about to write it.
  const timeoutMs = bootId === host.processes.self.bootId ? EXIT_FILE_TIMEOUT_MS : 0;
  const until = host.clock.monotonic() + timeoutMs;
  for (;;) {
    const exit = host.processes.exitOf(exitFileOf(layout), pid);
    if (exit !== undefined) return exit;
    if (host.clock.monotonic() >= until) return { code: null, signal: null };
    await host.clock.sleep(LOOK_AGAIN_MS);
  }
}

/** A process that would not end. */
export function processStuck(id: string, pid: number): WarderError {
  return new WarderError("process-stuck", {
    doing: `ending the process ${pid} of ${id}`,
    why: `it was still there ${KILL_TIMEOUT_MS} ms after SIGKILL`,
    cure: `Look at /proc/${pid}/stack for what it waits for; \`warder gc\` finishes the removal afterwards`,
  });
}
