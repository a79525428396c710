import { isWarderError, messageOf, systemCodeOf } from "../../vm/error.ts";
import { VM_ID_MAX_LENGTH } from "../../vm/id.ts";
import { type HostPath, toHostPath } from "../../vm/path.ts";
import type { Check, CheckContext } from "../check.ts";
import { nearestExisting, openError, resolveAsWillBe, withScratch } from "../look.ts";
import { ok, problem, skipped, type Verdict, warning } from "../report.ts";
import { harmlessOwner } from "./base-owner.ts";

const MIB = 1024 * 1024;
/** Room for some 300 jails with the probe guest, or a few with small disks. */
const LITTLE_ROOM_MIB = 1024;
/** Not even a jail or two with its logs. */
const NO_ROOM_MIB = 32;
/** `sun_path` holds 108 bytes with its NUL. */
const SOCKET_PATH_MAX_BYTES = 107;
const API_SOCKET = "/run/firecracker.socket";
/** `vm-` and nanoseconds since 1970. */
const GENERATED_ID_LENGTH = 22;

/** Checks of the directory for jails, made by trying in it what the jailer will do. */
export const chrootChecks: readonly Check[] = [
  { code: "chroot-base", run: checkBase },
  { code: "chroot-base-mount", run: checkMount },
  { code: "chroot-base-space", run: checkSpace },
  { code: "chroot-same-filesystem", run: checkSameFilesystem },
  { code: "socket-path-length", run: checkSocketPath },
  { code: "state-directory", run: checkStateDirectory },
];

function checkBase(context: CheckContext): Verdict {
  const { chrootBase } = context.settings;
  const verdict = checkDirectory(context, chrootBase);
  const owner =
    verdict.status === "problem" ? harmlessOwner(context, nearestExisting(context.host, chrootBase)) : undefined;
  return owner === undefined ? verdict : ok(`${chrootBase}, which belongs to ${owner}, whom nobody and no VM runs as`);
}

function checkStateDirectory(context: CheckContext): Verdict {
  return checkDirectory(context, context.settings.stateDir);
}

function checkDirectory({ host, deps }: CheckContext, path: HostPath): Verdict {
  const existing = nearestExisting(host, path);
  if (host.files.inspect(existing)?.kind !== "directory") return problem(`${existing} is not a directory`);
  const reasons = deps.directoryProblems(existing);
  if (reasons.length > 0) return problem(reasons.join("; "));
  if (host.files.inspectFollowing(path) === undefined) return ok(`${path}: not there yet, made with the first start`);
  return ok(existing === path ? path : `${path}, which is ${existing}`);
}

/** Makes a null device and a program in the base, and tries to use them: mount options alone do not tell. */
async function checkMount({ host, settings, signal }: CheckContext): Promise<Verdict> {
  const base = nearestExisting(host, settings.chrootBase);
  return withScratch(host, base, async (scratch) => {
    const faults = [await deviceFault(scratch), await programFault(scratch)].filter((fault) => fault !== undefined);
    if (faults.length === 0) return ok(`in ${base} a device node opens and a program runs`);
    return problem(`in ${base} ${faults.join(", and ")}`);
  });

  async function deviceFault(scratch: HostPath): Promise<string | undefined> {
    const node = `${scratch}/null`;
    try {
      await host.commands.run({ tool: "mknod", args: ["-m", "600", node, "c", "1", "3"], signal });
    } catch (error) {
      signal.throwIfAborted();
      return `no device node can be made: ${reasonOf(error)}`;
    }
    const error = openError(host, node);
    return error === undefined ? undefined : `no device node can be opened (${error}), as on a mount with nodev`;
  }

  async function programFault(scratch: HostPath): Promise<string | undefined> {
    const program = `${scratch}/program`;
    host.files.writeText(program, "#!/bin/sh\nexit 0\n", { mode: 0o700 });
    try {
      await host.commands.run({ tool: "env", args: [program], signal });
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      return `no program can be run: ${reasonOf(error)}`;
    }
  }
}

function checkSpace({ host, settings }: CheckContext): Verdict {
  const freeMib = Math.floor(host.files.freeBytes(nearestExisting(host, settings.chrootBase)) / MIB);
  if (freeMib < NO_ROOM_MIB) return problem(`${freeMib} MiB are free`);
  return freeMib < LITTLE_ROOM_MIB ? warning(`${freeMib} MiB are free`) : ok(`${freeMib} MiB are free`);
}

/** Really links each asset: mounts of one file system keep links from each other, too. */
async function checkSameFilesystem({ host, settings }: CheckContext): Promise<Verdict> {
  const assets = (settings.assets ?? []).filter((path) => host.files.inspectFollowing(path)?.kind === "file");
  if (assets.length === 0) return skipped("no kernel or disk was named");
  return withScratch(host, nearestExisting(host, settings.chrootBase), async (scratch) => {
    const apart = assets.filter(
      (path, index) => !isLinkable(host.files.resolve(path), toHostPath(`${scratch}/${index}`)),
    );
    return apart.length === 0 ? ok("they can be linked into jails") : warning(`on another mount: ${apart.join(", ")}`);
  });

  function isLinkable(from: HostPath, to: HostPath): boolean {
    try {
      host.files.hardLink(from, to);
      return true;
    } catch (error) {
      if (systemCodeOf(error) === "EXDEV") return false;
      throw error;
    }
  }
}

function checkSocketPath({ host, settings }: CheckContext): Verdict {
  const base = resolveAsWillBe(host, settings.chrootBase);
  const execName = resolveAsWillBe(host, settings.firecracker ?? toHostPath("/firecracker"))
    .split("/")
    .at(-1);
  const fixedBytes = Buffer.byteLength(`${base}/${execName}//root${settings.apiSocket ?? API_SOCKET}`);
  const longestId = SOCKET_PATH_MAX_BYTES - fixedBytes;
  if (longestId < GENERATED_ID_LENGTH) return problem(`only ${Math.max(0, longestId)} bytes are left for a VM's id`);
  if (longestId >= VM_ID_MAX_LENGTH) return ok("every VM id fits");
  return ok(`VM ids of up to ${longestId} characters fit, of the ${VM_ID_MAX_LENGTH} that the jailer takes`);
}

/** What a tool said, without its command line. */
function reasonOf(error: unknown): string {
  return isWarderError(error) ? error.why : messageOf(error);
}
