import type { CgroupHost } from "../cgroup/detect.ts";
import type { Host } from "../host/host.ts";
import { parseCgroups } from "../isolation/proc-text.ts";

/** For so long after one has ended, moves between cgroups surely cost nothing; it is a little longer, by chance. */
const SURELY_OPEN_MS = 3;

/**
 * Has the kernel's grace period pass while there is other work. The first move of a process into another cgroup waits
 * for one, 5 to 20 ms by chance, in which nothing of the VM happens; moves soon after it cost 0.05 ms. So one is asked
 * for when a start begins, by moving this process into the cgroup that it is in already, which changes nothing. The
 * jailer, which moves itself some milliseconds later, then waits for the rest of it only.
 *
 * @returns Asks for it; does nothing where one is under way, or where this process may not.
 */
export function gracePeriodAsker(host: Host, cgroups: CgroupHost): () => void {
  let isUnderWay = false;
  let endedAt = Number.NEGATIVE_INFINITY;
  return () => {
    if (isUnderWay || host.clock.monotonic() - endedAt < SURELY_OPEN_MS) return;
    isUnderWay = true;
    moveNowhere(host, cgroups)
      // It only was to save time.
      .catch(() => undefined)
      .finally(() => {
        isUnderWay = false;
        endedAt = host.clock.monotonic();
      });
  };
}

/** All hierarchies share the one lock, so any will do. Where this process is, is looked up each time: it may be moved. */
async function moveNowhere(host: Host, { v1, v2 }: CgroupHost): Promise<void> {
  const hierarchy = [...v1, ...(v2 === undefined ? [] : [v2])].find(({ writable }) => writable);
  if (hierarchy === undefined) return;
  const own = parseCgroups(host.files.readText(`${host.roots.proc}/self/cgroup`));
  const path = own[hierarchy.controllers.find((controller) => controller in own) ?? ""];
  if (path === undefined) return;
  const itself = "0";
  await host.files.writeControlAside(`${hierarchy.directory}${path === "/" ? "" : path}/cgroup.procs`, itself);
}
