import type { FileFacts, Host } from "../host/host.ts";
import { systemCodeOf, WarderError } from "../vm/error.ts";
import type { HostPath, JailPath } from "../vm/path.ts";
import type { JailLayout } from "../vm/record.ts";
import type { JailUser } from "./jail.ts";
import { hostPathOf } from "./layout.ts";

/** A file of the user's that the VM needs. */
export interface Asset {
  /** What it is to the VM, for messages: `kernel`, `initrd`, `drive rootfs`. */
  readonly role: string;
  readonly path: HostPath;
  /** Its name in the jail. */
  readonly inside: JailPath;
  /** Whether the VM writes to it. */
  readonly writable: boolean;
}

/** How an asset came into the jail. */
export type StagingMethod = "hard-link" | "copy" | "device";

const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46];

/**
 * Says what is wrong with an asset before anything is made, or `undefined`. Follows links, as a user may well name a
 * kernel by one; staging then works on what was found.
 */
export function assetProblem(host: Host, asset: Asset): string | undefined {
  const facts = host.files.inspectFollowing(asset.path);
  if (facts === undefined) return "is not there";
  if (facts.kind === "block" && asset.role.startsWith("drive")) return undefined;
  if (facts.kind !== "file") return `is a ${facts.kind}, not a file`;
  if (facts.size === 0) return "is empty";
  if (asset.role === "kernel" && !isElf(host, asset.path)) {
    return "is no ELF file: Firecracker boots an uncompressed vmlinux, not a bzImage";
  }
  return undefined;
}

function isElf(host: Host, path: HostPath): boolean {
  const head = host.files.readHead(host.files.resolve(path), ELF_MAGIC.length);
  return ELF_MAGIC.every((byte, index) => head[index] === byte);
}

/**
 * Brings an asset into the jail. What is only read, and readable by the jailed user as it is, is hard-linked: no time,
 * no room, and page cache shared among VMs. Anything else is copied (as a reflink where the file system can), so that
 * neither the user's file nor its inode's owner and mode are ever changed.
 *
 * @throws {@link WarderError} `asset-missing`, `asset-staging-failed`, `disk-full`.
 */
export async function stageAsset(
  host: Host,
  layout: JailLayout,
  user: JailUser,
  asset: Asset,
  signal?: AbortSignal,
): Promise<StagingMethod> {
  const target = hostPathOf(layout, asset.inside);
  try {
    // A repeated step begins anew: what lies there is an earlier attempt's.
    host.files.removeFile(target);
    const source = host.files.resolve(asset.path);
    const facts = host.files.inspect(source);
    if (facts?.kind === "block") return await stageDevice(host, user, facts, target);
    if (facts !== undefined && isShareable(facts, asset) && tryLink(host, source, target, facts)) return "hard-link";
    const mode = asset.writable ? 0o600 : 0o400;
    await host.files.copy(source, target, { mode, uid: user.uid, gid: user.gid }, signal);
    return "copy";
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") throw vanished(asset, error);
    throw WarderError.from(
      error,
      "asset-staging-failed",
      `bringing the ${asset.role} ${asset.path} into the jail of ${layout.id}`,
    );
  }
}

/** Only read, readable by anybody, and writable by nobody but its owner, who must not be the jailed user. */
function isShareable(facts: FileFacts, asset: Asset): boolean {
  const readableByAll = (facts.mode & 0o004) !== 0;
  const writableByOthers = (facts.mode & 0o022) !== 0;
  return !asset.writable && facts.kind === "file" && readableByAll && !writableByOthers && facts.uid === 0;
}

/** False across file systems and where links are refused: the caller copies then. */
function tryLink(host: Host, source: HostPath, target: HostPath, expected: FileFacts): boolean {
  try {
    host.files.hardLink(source, target);
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "EXDEV" || code === "EPERM" || code === "EMLINK") return false;
    throw error;
  }
  const linked = host.files.inspect(target);
  if (linked?.inode === expected.inode && linked.device === expected.device && linked.kind === "file") return true;
  // The name led elsewhere between the two calls. What was linked is not what was judged.
  host.files.removeFile(target);
  return false;
}

async function stageDevice(host: Host, user: JailUser, facts: FileFacts, target: HostPath): Promise<StagingMethod> {
  const [major = "", minor = ""] = facts.deviceNumber.split(":");
  await host.commands.run({ tool: "mknod", args: ["-m", "600", target, "b", major, minor] });
  await host.commands.run({ tool: "chown", args: ["-h", `${user.uid}:${user.gid}`, target] });
  return "device";
}

function vanished(asset: Asset, cause: unknown): WarderError {
  return new WarderError("asset-missing", {
    doing: `bringing the ${asset.role} ${asset.path} into the jail`,
    why: "it is not there",
    cure: "Check the path, and that nothing removes the file while VMs start",
    cause,
  });
}
