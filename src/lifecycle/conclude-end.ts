import { readOomCounts } from "../cgroup/oom.ts";
import type { VmExit } from "../vm/exit.ts";
import type { ProcessExit } from "../vm/process.ts";
import type { VmRecord } from "../vm/record.ts";
import { concludeExit, type ExitFacts } from "./exit-cause.ts";
import { findOomKill } from "./kernel-log.ts";
import type { Machinery } from "./machinery.ts";
import { lastRung } from "./rungs.ts";

/** What was seen of a VM's end; the rest is asked of the host. */
export type SeenEnd = Pick<ExitFacts, "exit" | "hung" | "log" | "console" | "isBootedSince" | "isUnseen"> & {
  /** Milliseconds since 1970. Absent: now. */
  readonly at?: number;
};

/**
 * Why a VM ended: brings together what was seen, what its cgroup counted, which must still be there, and what the kernel
 * and other managers have written down.
 */
export async function concludeEnd(
  machinery: Pick<Machinery, "host" | "store">,
  record: VmRecord,
  seen: SeenEnd,
): Promise<VmExit> {
  const { host, store } = machinery;
  const endedBy = lastRung(store, record);
  const oom = record.cgroup === undefined ? undefined : readOomCounts(host, record.cgroup);
  const isCounted = (oom?.kills ?? 0) > 0;
  const isToAsk = (isCounted || isUnexplained(seen.exit, endedBy)) && seen.isBootedSince !== true;
  const oomKill = isToAsk ? await askKernel(machinery, record) : undefined;
  return concludeExit({
    ...seen,
    at: seen.at ?? host.clock.now(),
    ...(endedBy === undefined ? {} : { endedBy }),
    ...(oom === undefined ? {} : { oom }),
    ...(oomKill === undefined ? {} : { oomKill }),
  });
}

/** Killed, and not by us: it may have been the kernel, for want of memory, also where no cgroup counts it. */
function isUnexplained({ signal }: ProcessExit, endedBy: VmRecord["endedBy"]): boolean {
  return signal === "SIGKILL" && endedBy !== "sigkill";
}

async function askKernel({ host }: Pick<Machinery, "host">, { process, jailed, uid, cgroup }: VmRecord) {
  if (process === undefined) return undefined;
  const known = { ...(jailed ? { uid } : {}), ...(cgroup === undefined ? {} : { cgroup: cgroup.path }) };
  return findOomKill(host, { process, ...known });
}
