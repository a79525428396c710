import { WarderError } from "../vm/error.ts";
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
  const deadline = AbortSignal.timeout(KILL_TIMEOUT_MS);
  const gone = [
    launch.child.exited,
    ...(context.process === undefined ? [] : [host.processes.waitForEnd(context.process, deadline)]),
  ];
  const late = new Promise<never>((_resolve, reject) => {
    deadline.addEventListener("abort", () => reject(stuck(plan.id, launch.child.pid)), { once: true });
  });
  await Promise.race([Promise.all(gone), late]);
}

function stuck(id: string, pid: number): WarderError {
  return new WarderError("process-stuck", {
    doing: `ending the process ${pid} of ${id}`,
    why: `it was still there ${KILL_TIMEOUT_MS} ms after SIGKILL`,
    cure: `Look at /proc/${pid}/stack for what it waits for; \`warder gc\` finishes the removal afterwards`,
  });
}
