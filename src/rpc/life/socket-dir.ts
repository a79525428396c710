import type { Host } from "../../host/host.ts";
import { WarderError } from "../../vm/error.ts";

/** Nobody else looks into it: whoever opens a VM's API socket has the VM. */
const MODE = 0o700;
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Makes the directory for the API sockets of VMs without a jail. metald's lies below /tmp, where anybody may have made
 * one before: it must be this process's own.
 *
 * @throws {@link WarderError} `door-unusable`.
 */
export function ensureSocketDir({ files, processes }: Pick<Host, "files" | "processes">, path: string): void {
  const parts = path.split("/").filter((part) => part !== "");
  const steps = parts.map((_, index) => `/${parts.slice(0, index + 1).join("/")}`);
  for (const step of steps) {
    if (files.inspect(step) === undefined) files.ensureDirectory(step, { mode: step === path ? MODE : 0o755 });
  }
  const facts = files.inspect(path);
  const isOwn = facts?.kind === "directory" && facts.uid === processes.effectiveUid;
  if (isOwn && (facts.mode & WRITABLE_BY_OTHERS) === 0) return;
  throw new WarderError("door-unusable", {
    doing: `making the directory ${path} for API sockets`,
    why: "what lies there is no directory of this process's own, or others can change it",
    cure: "Remove it, or set socket_dir to another place",
  });
}
