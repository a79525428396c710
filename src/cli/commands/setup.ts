import type { DownloadProgress } from "../../setup/download.ts";
import type { FoundBinaries } from "../../setup/find.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { path, sha256, text } from "../flag-parsers.ts";
import { toggle, value } from "../flags.ts";
import { formatBytes } from "../format.ts";
import type { Interruption } from "../interruption.ts";
import { Progress } from "../progress.ts";
import { formatTable, harmless, paint, printJson, printLine, printNote, type Terminal } from "../terminal.ts";

/** `warder setup`, parsed. */
export interface SetupCommandRequest extends CommonRequest {
  readonly from?: string;
  readonly sha256?: string;
  readonly release?: string;
}

export const setupCommand = defineCommand({
  flags: {
    from: value(
      "--from <file>",
      path,
      "take them from a release's archive, a wheel, or a directory, and from nowhere else",
    ),
    sha256: value("--sha256 <hex>", sha256, "what the file's checksum must be"),
    release: value("--release <version>", text, "the release to find or fetch, such as 1.16.1"),
    allowTestBinaries: toggle("--allow-test-binaries", "take releases too that upstream no longer supports, for tests"),
  },
  details:
    "Safe to repeat. Firecracker and the jailer are looked for as configured, on PATH and in the cache; where there are\n" +
    "none, the official release is fetched, its checksum compared, and kept in the cache.",
  examples: [
    ["warder setup", "Find or install them"],
    ["warder setup --from firecracker-v1.16.1-x86_64.tgz", "On a machine without internet"],
  ],
  async parse({ flags, common, refuse }): Promise<SetupCommandRequest> {
    if (flags.sha256 !== undefined && flags.from === undefined) refuse("--sha256", "needs --from");
    if (flags.release !== undefined) {
      const { isVersion } = await import("../../setup/version.ts");
      if (!isVersion(flags.release))
        refuse("--release", `must be a version such as 1.16.1, not ${JSON.stringify(flags.release)}`);
    }
    return {
      ...common,
      ...(flags.allowTestBinaries === true ? { overrides: { ...common.overrides, allowTestBinaries: true } } : {}),
      ...(flags.from === undefined ? {} : { from: flags.from }),
      ...(flags.sha256 === undefined ? {} : { sha256: flags.sha256 }),
      ...(flags.release === undefined ? {} : { release: flags.release }),
    };
  },
  execute: setup,
});

/** Finds or installs Firecracker and the jailer. */
export async function setup(
  request: SetupCommandRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  const found = await install(request, terminal, signal);
  if (request.json) printJson(terminal, found);
  else printFound(terminal, found);
  if (found.testOnly !== undefined)
    printNote(terminal, `warder: ${paint(terminal.stderr, "warn", "warning")}: ${harmless(found.testOnly)}`);
  return 0;
}

async function install(request: SetupCommandRequest, terminal: Terminal, signal: AbortSignal): Promise<FoundBinaries> {
  using progress = new Progress(terminal, "looking for Firecracker");
  const [{ installBinaries }, { openThisMachine }, { toHostPath }] = await Promise.all([
    import("../../lifecycle/install.ts"),
    import("../../lifecycle/this-machine.ts"),
    import("../../vm/path.ts"),
  ]);
  const { from, sha256, release } = request;
  const wanted = {
    ...(from === undefined ? {} : { from: toHostPath(from) }),
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(release === undefined ? {} : { version: release }),
  };
  const onProgress = (state: DownloadProgress) => progress.update(describeDownload(state));
  return installBinaries(openThisMachine(request.overrides), wanted, { signal, onProgress });
}

function describeDownload({ url, receivedBytes, totalBytes }: DownloadProgress): string {
  const name = url.slice(url.lastIndexOf("/") + 1);
  if (totalBytes === undefined) return `downloading ${name}: ${formatBytes(receivedBytes)}`;
  return `downloading ${name}: ${Math.floor((100 * receivedBytes) / totalBytes)} % of ${formatBytes(totalBytes)}`;
}

function printFound(terminal: Terminal, { firecracker, jailer, version, source, why, tried }: FoundBinaries): void {
  const facts = [
    ["jailer", jailer],
    ["version", version],
    ["source", `${source}: ${why}`],
    ...tried.slice(0, -1).map((each) => ["passed over", `${each.source}: ${each.outcome}`]),
  ];
  for (const line of formatTable(
    ["firecracker", firecracker],
    facts.map((row) => row.map(harmless)),
  )) {
    printLine(terminal, line);
  }
}
