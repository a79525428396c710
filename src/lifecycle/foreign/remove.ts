import type { Host } from "../../host/host.ts";
import { refuseLinks } from "../../jailer/place.ts";
import { WarderError } from "../../vm/error.ts";
import type { Candidate } from "./candidates.ts";
import { ProcessIndex } from "./process-index.ts";
import { userOf } from "./use.ts";

/** What was seen of all processes is believed for so long. */
const FRESH_MS = 500;

/** The order in which things can go: what holds a place before the place. */
const order: readonly Candidate["kind"][] = ["cgroup", "link", "jail", "interface", "namespace"];

/**
 * Removes what is another manager's, one thing after the other, each looked at once more right before: what is used by
 * then stays.
 *
 * @returns What could not be removed, or is in use.
 */
export async function removeForeign(
  host: Host,
  candidates: readonly Candidate[],
): Promise<{ readonly candidate: Candidate; readonly error: unknown }[]> {
  const failures: { candidate: Candidate; error: unknown }[] = [];
  let processes = await ProcessIndex.take(host);
  let takenAt = host.clock.monotonic();
  for (const candidate of candidates.toSorted((one, other) => order.indexOf(one.kind) - order.indexOf(other.kind))) {
    if (host.clock.monotonic() - takenAt > FRESH_MS) {
      processes = await ProcessIndex.take(host);
      takenAt = host.clock.monotonic();
    }
    try {
      const user = userOf({ host, processes }, candidate);
      if (user !== undefined) throw inUse(candidate, user);
      await removers[candidate.kind](host, candidate.path);
    } catch (error) {
      failures.push({ candidate, error });
    }
  }
  return failures;
}

const removers: Readonly<Record<Candidate["kind"], (host: Host, path: string) => Promise<unknown> | unknown>> = {
  cgroup: removeCgroup,
  link: (host, path) => host.files.removeFile(path),
  jail: async (host, path) => {
    const above = path.slice(0, path.lastIndexOf("/"));
    refuseLinks(host, [above.slice(0, above.lastIndexOf("/")), above, path]);
    await host.files.removeTree(path);
  },
  interface: (host, path) =>
    host.commands.run({ tool: "ip", args: ["link", "delete", "dev", path.slice(path.lastIndexOf("/") + 1)] }),
  namespace: (host, path) =>
    host.commands.run({ tool: "ip", args: ["netns", "delete", path.slice(path.lastIndexOf("/") + 1)] }),
};

/** The innermost first. The kernel itself refuses one that a process is in. */
async function removeCgroup(host: Host, path: string): Promise<void> {
  if (host.files.inspect(path) === undefined) return;
  for (const name of host.files.list(path)) {
    const inside = `${path}/${name}`;
    if (host.files.inspect(inside)?.kind === "directory") await removeCgroup(host, inside);
  }
  await host.files.removeDirectory(path);
}

function inUse({ path }: Candidate, user: string): WarderError {
  return new WarderError("cleanup-failed", {
    doing: `removing ${path}`,
    why: `it is used by ${user}`,
    cure: "End what uses it, by the manager that it belongs to",
  });
}
