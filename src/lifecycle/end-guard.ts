import type { Host } from "../host/host.ts";
import type { ProcessExit, ProcessIdentity } from "../vm/process.ts";
import type { Drain } from "./drain.ts";
import { need, type StartContext } from "./start-context.ts";

/** What Firecracker logs when its guest has ended, just before it ends itself. */
const STOPPING = "Vmm is stopping.";

/** Firecracker needs a few milliseconds from there to its end, more on a machine under load. */
const STUCK_AFTER_MS = 1_000;

/** How long an end may take to be seen after its first signs: a broken connection, a thread that is gone. */
const END_GRACE_MS = STUCK_AFTER_MS + 500;

/**
 * The end of a process, helped along where it hangs: an API request that meets the guest's end leaves Firecracker's two
 * threads waiting for each other for ever (seen with 1.12.1: the main thread joins the API thread, which waits for the
 * main thread's answer). Its guest has ended by then, so nothing is lost by killing it.
 */
export async function guardedEnd<Exit extends ProcessExit>(
  host: Host,
  process: ProcessIdentity,
  ended: Promise<Exit>,
  log: Drain,
): Promise<Exit & GuardedExit> {
  const hang = watchForHang(host, process, ended, log);
  // Where the end can not be seen, that is told below.
  hang.catch(() => undefined);
  const exit = await ended;
  return { ...exit, hung: await hang };
}

/** Whether an end had to be helped along. */
export interface GuardedExit {
  readonly hung: boolean;
}

async function watchForHang(
  host: Host,
  process: ProcessIdentity,
  ended: Promise<unknown>,
  log: Drain,
): Promise<boolean> {
  const isStopping = log.waitFor(STOPPING);
  if (!(await Promise.race([isStopping, ended.then(() => false)]))) return false;
  if (await settlesWithin(host, ended, STUCK_AFTER_MS)) return false;
  return host.processes.signal(process, "SIGKILL");
}

/** Whether the VM of a start, which shows signs of it, comes to its end. */
export async function endsSoon(context: StartContext): Promise<boolean> {
  await settlesWithin(context.machinery.host, need(context, "ended"), END_GRACE_MS);
  return context.exit !== undefined;
}

async function settlesWithin(host: Host, work: Promise<unknown>, milliseconds: number): Promise<boolean> {
  const timer = new AbortController();
  const late = host.clock.sleep(milliseconds, timer.signal).then(
    () => false,
    () => false,
  );
  const settled = await Promise.race([work.then(() => true), late]);
  timer.abort();
  return settled;
}
