import { parseVersionOutput } from "../firecracker/version.ts";
import type { FileFacts, Host } from "../host/host.ts";
import { findBinaries } from "../setup/find.ts";
import { type VetDeps, vetFirecracker } from "../setup/vet.ts";
import { WarderError } from "../vm/error.ts";
import type { HostPath } from "../vm/path.ts";
import type { VmBinaries } from "../vm/record.ts";
import { abortable } from "./abortable.ts";
import type { Machinery } from "./machinery.ts";

/** Where to look for Firecracker and the jailer. */
export interface BinarySettings {
  readonly firecracker?: HostPath;
  readonly jailer?: HostPath;
  readonly cacheDir: HostPath;
  readonly allowTestBinaries: boolean;
}

const VERSION_TIMEOUT_MS = 10_000;

/** Several pairs may be looked at, two versions each. */
const FIND_TIMEOUT_MS = 60_000;

/** How setup and doctor ask a binary for its version. */
export function versionReader(host: Host): VetDeps {
  return {
    architecture: process.arch === "arm64" ? "aarch64" : "x86_64",
    async readVersion(binary, signal) {
      const { stdout } = await host.commands.run({
        tool: binary,
        args: ["--version"],
        timeoutMs: VERSION_TIMEOUT_MS,
        signal,
      });
      const program = stdout.startsWith("Jailer") ? "Jailer" : "Firecracker";
      return parseVersionOutput(program, stdout).text;
    },
  };
}

/**
 * Finds the binaries once and remembers them, as looking at them closely costs more than a start. Looked at again as
 * soon as either file is another one, or was changed. An unjailed VM needs no jailer beside a Firecracker that was named.
 */
export function rememberBinaries(host: Host, settings: BinarySettings): Machinery["binaries"] {
  const pair = remember(host, (signal) => findPair(host, settings, signal));
  const { firecracker } = settings;
  if (firecracker === undefined) return ({ signal }) => pair(signal);
  const alone = remember(host, (signal) => vetFirecracker({ ...versionReader(host), host, signal }, firecracker));
  return ({ jailed, signal }) => (jailed ? pair(signal) : alone(signal));
}

type Finder = (signal: AbortSignal) => Promise<VmBinaries>;

/** Starts that come at once share one look, which none of them can give up for the others. */
function remember(host: Host, find: Finder): Finder {
  let known: { binaries: VmBinaries; stamp: string } | undefined;
  let finding: Promise<VmBinaries> | undefined;
  return async (signal) => {
    if (known !== undefined && stampOf(host, known.binaries) === known.stamp) return known.binaries;
    signal.throwIfAborted();
    finding ??= find(AbortSignal.timeout(FIND_TIMEOUT_MS)).finally(() => {
      finding = undefined;
    });
    const binaries = await abortable(finding, signal);
    known = { binaries, stamp: stampOf(host, binaries) };
    return binaries;
  };
}

async function findPair(host: Host, settings: BinarySettings, signal: AbortSignal): Promise<VmBinaries> {
  const configured = {
    ...(settings.firecracker === undefined ? {} : { firecracker: settings.firecracker }),
    ...(settings.jailer === undefined ? {} : { jailer: settings.jailer }),
  };
  const request = { configured, cacheDirectory: settings.cacheDir, allowTestBinaries: settings.allowTestBinaries };
  const found = await findBinaries(host, request, versionReader(host), signal);
  if (found.source === undefined) {
    throw new WarderError("binary-missing", {
      doing: "looking for Firecracker and the jailer",
      why: found.tried.map(({ source, outcome }) => `${source}: ${outcome}`).join("; "),
      cure: "Run `warder setup`",
    });
  }
  return { firecracker: found.firecracker, jailer: found.jailer, version: found.version };
}

function stampOf(host: Host, { firecracker, jailer }: VmBinaries): string {
  return [firecracker, jailer].map((path) => (path === undefined ? "none" : stamp(host.files.inspect(path)))).join(" ");
}

function stamp(facts: FileFacts | undefined): string {
  return facts === undefined
    ? "gone"
    : [facts.device, facts.inode, facts.size, facts.modifiedMs, facts.mode, facts.uid].join(":");
}
