import type { HostPath } from "../../vm/path.ts";
import type { CheckContext } from "../check.ts";
import { readIfThere } from "../look.ts";

const GROUP_OR_OTHERS_WRITE = 0o022;

/** Shells that nobody is let in with. */
const closedShell = /\/(false|nologin)$/;

/**
 * The account that the directory for jails belongs to, where that does no harm: it can change what root relies on, so
 * nobody may be able to log in to it, and no VM may run as it. So it is with the `jailer` of the usual guides, as long
 * as VMs have users of their own. `undefined` where the owner is another one.
 */
export function harmlessOwner({ host, settings, deps }: CheckContext, directory: HostPath): string | undefined {
  const facts = host.files.inspect(directory);
  if (facts === undefined || (facts.mode & GROUP_OR_OTHERS_WRITE) !== 0) return undefined;
  const above = directory.slice(0, directory.lastIndexOf("/")) || "/";
  if (deps.directoryProblems(above as HostPath).length > 0) return undefined;
  const { first, count } = settings.uidRange;
  if (facts.uid === settings.jailUid || (facts.uid >= first && facts.uid < first + count)) return undefined;
  const accounts = readIfThere(host, `${settings.etcDirectory ?? "/etc"}/passwd`) ?? "";
  const own = accounts.split("\n").find((line) => Number(line.split(":")[2] || Number.NaN) === facts.uid);
  const [name, , , , , , shell = ""] = own?.split(":") ?? [];
  return closedShell.test(shell) ? name : undefined;
}
