import type { Host } from "../../host/host.ts";
import { messageOf } from "../../vm/error.ts";

/** Tells the service manager how the daemon is. Never fails: a daemon without a manager is well too. */
export interface ServiceManager {
  /** It takes calls. */
  ready(status: string): Promise<void>;
  /** It reads its settings again. */
  reloading(): Promise<void>;
  /** It is about to end. */
  stopping(status: string): Promise<void>;
}

const TIMEOUT_MS = 5_000;

/**
 * systemd, or another that speaks its protocol (sd_notify(3)). Node has no datagrams over Unix sockets: the system's own
 * `systemd-notify` sends them, for this process.
 *
 * @param socket - `NOTIFY_SOCKET`, as it was given to this process; absent: there is nobody to tell.
 */
export function serviceManager(
  { commands, processes }: Pick<Host, "commands" | "processes">,
  socket: string | undefined,
  warn: (message: string, details: Readonly<Record<string, unknown>>) => void,
): ServiceManager {
  const tell = async (...words: string[]): Promise<void> => {
    if (socket === undefined) return;
    const args = [`NOTIFY_SOCKET=${socket}`, "systemd-notify", `MAINPID=${processes.self.pid}`, ...words];
    try {
      await commands.run({ tool: "env", args, timeoutMs: TIMEOUT_MS });
    } catch (error) {
      warn("the service manager could not be told", { what: words.join(" "), error: messageOf(error) });
    }
  };
  return {
    ready: (status) => tell("READY=1", `STATUS=${status}`),
    reloading: () => tell("RELOADING=1"),
    stopping: (status) => tell("STOPPING=1", `STATUS=${status}`),
  };
}
