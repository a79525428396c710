import * as fs from "node:fs";

/**
 * Stops a process until it is disposed of. Settles once every thread of it stands still: what it uses does not change
 * any more.
 */
export async function freeze(pid: number): Promise<Disposable> {
  process.kill(pid, "SIGSTOP");
  const isStopped = (thread: string) => {
    const stat = fs.readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("T");
  };
  while (!fs.readdirSync(`/proc/${pid}/task`).every(isStopped)) await new Promise(setImmediate);
  return { [Symbol.dispose]: () => void process.kill(pid, "SIGCONT") };
}
