import { messageOf } from "../../vm/error.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import type { Interruption } from "../interruption.ts";
import { formatTable, harmless, printJson, printLine, type Terminal } from "../terminal.ts";
import { warderVersion } from "../version.ts";

/** Firecracker as `version` shows it. */
type FirecrackerVersion =
  | { readonly version: string; readonly firecracker: string; readonly jailer: string; readonly source: string }
  | { readonly missing: string };

export const versionCommand = defineCommand({
  flags: {},
  examples: [["warder version", "For a bug report"]],
  parse: ({ common }): CommonRequest => common,
  execute: version,
});

/** Shows the versions of everything that Warder runs on. */
export async function version(
  request: CommonRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  const firecracker = await findFirecracker(request, signal);
  const document = { warder: warderVersion, node: process.versions.node, firecracker };
  if (request.json) printJson(terminal, document);
  else {
    const rows = [
      ["node", `${process.versions.node} (${process.execPath})`],
      ["firecracker", "missing" in firecracker ? firecracker.missing : describe(firecracker)],
    ];
    const lines = formatTable(
      ["warder", warderVersion],
      rows.map((row) => row.map(harmless)),
    );
    for (const line of lines) printLine(terminal, line);
  }
  return 0;
}

function describe({ version: number, firecracker, source }: Exclude<FirecrackerVersion, { missing: string }>): string {
  return `${number} (${source}: ${firecracker})`;
}

/** A pair that is missing or unfit is no reason to withhold the other versions. */
async function findFirecracker({ overrides }: CommonRequest, signal: AbortSignal): Promise<FirecrackerVersion> {
  const [{ lookForBinaries }, { openThisMachine }] = await Promise.all([
    import("../../lifecycle/install.ts"),
    import("../../lifecycle/this-machine.ts"),
  ]);
  try {
    const found = await lookForBinaries(openThisMachine(overrides), signal);
    if (found.source === undefined) {
      return { missing: found.tried.map(({ source, outcome }) => `${source}: ${outcome}`).join("; ") };
    }
    const { version: number, firecracker, jailer, source } = found;
    return { version: number, firecracker, jailer, source };
  } catch (error) {
    return { missing: messageOf(error) };
  }
}
