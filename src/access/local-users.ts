import type { Host } from "../host/host.ts";
import { isWarderError } from "../vm/error.ts";

/** Users of this machine who may do everything through its doors. */
export interface TrustedUsers {
  /** The group's number; absent where there is no such group. */
  readonly gid?: number;
  /** Root, this process's own user, and the group's members. */
  readonly uids: ReadonlySet<number>;
}

type Needed = Pick<Host, "commands" | "processes">;

/**
 * Reads who is in a group, from whatever the machine keeps its users in. Users whose primary group it is are not among
 * them: no list of those can be had.
 */
export async function readTrustedUsers(host: Needed, group: string, signal: AbortSignal): Promise<TrustedUsers> {
  const own = [0, host.processes.effectiveUid];
  const [, , gid, members] = (await ask(host, ["group", group], signal))?.trim().split(":") ?? [];
  if (gid === undefined || !/^\d+$/.test(gid)) return { uids: new Set(own) };
  const names = (members ?? "").split(",").filter((name) => name !== "");
  const found = names.length === 0 ? undefined : await ask(host, ["passwd", ...names], signal);
  const uids = (found ?? "").split("\n").map((line) => line.split(":")[2] ?? "");
  return { gid: Number(gid), uids: new Set([...own, ...uids.filter((uid) => /^\d+$/.test(uid)).map(Number)]) };
}

/** `undefined`: there is nothing of that name, or nobody to ask. */
async function ask({ commands }: Needed, args: readonly string[], signal: AbortSignal): Promise<string | undefined> {
  try {
    return (await commands.run({ tool: "getent", args, signal })).stdout;
  } catch (error) {
    if (isWarderError(error) && ["tool-failed", "tool-missing"].includes(error.code)) return undefined;
    throw error;
  }
}
