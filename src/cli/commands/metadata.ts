import type { Readable } from "node:stream";
import { type CommonRequest, defineCommand } from "../command.ts";
import type { Interruption } from "../interruption.ts";
import { openManager } from "../manager/open.ts";
import { readJsonFile, readJsonInput } from "../small-file.ts";
import { harmless, printJson, printLine, type Terminal } from "../terminal.ts";

const verbs = ["get", "set", "patch"] as const;

/** `warder metadata`, parsed. */
export interface MetadataRequest extends CommonRequest {
  readonly id: string;
  readonly verb: (typeof verbs)[number];
  /** Absent: standard input. */
  readonly file?: string;
}

export const metadataCommand = defineCommand({
  operands: { name: "ID get|set|patch [FILE]", count: "each", help: "the VM, what to do, and JSON to do it with" },
  flags: {},
  details:
    "What a guest can ask for at http://169.254.169.254/ through its first interface; Firecracker answers by itself.\n" +
    "`set` takes the place of all of it; `patch` merges into it (RFC 7396: null removes). JSON is read from FILE, or from\n" +
    "standard input. The VM needs metadata from the start (`warder run --metadata FILE`) and an interface.",
  examples: [
    ["warder metadata vm-1 get", "What the guest is served"],
    ["warder metadata vm-1 set data.json", "Serve something else"],
    [`echo '{"role": "db", "old": null}' | warder metadata vm-1 patch`, "Change some of it"],
  ],
  parse: ({ operands: [id = "", given = "", file], common, refuse }): MetadataRequest => {
    const verb = verbs.find((each) => each === given);
    if (verb === undefined && given !== "") refuse(given, "is not known: it must be get, set or patch");
    if (verb === "get" && file !== undefined) refuse(file, "is one argument too many");
    return { ...common, id, verb: verb ?? "get", ...(file === undefined ? {} : { file }) };
  },
  execute: (request, terminal, interruption) => metadata(request, process.stdin, terminal, interruption),
});

/** Prints or changes what a guest is served. */
export async function metadata(
  request: MetadataRequest,
  input: Readable,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  await using manager = await openManager(request, terminal);
  const vm = manager.get(request.id);
  if (request.verb === "get") {
    const data = await vm.getMetadata();
    if (request.json) printJson(terminal, data);
    else printLine(terminal, harmless(JSON.stringify(data, null, 2)));
    return 0;
  }
  const data = await (request.file === undefined ? readJsonInput(input) : readJsonFile(request.file));
  await vm.changeMetadata(request.verb, data, { signal });
  if (request.json) printJson(terminal, await vm.getMetadata());
  else printLine(terminal, vm.id);
  return 0;
}
