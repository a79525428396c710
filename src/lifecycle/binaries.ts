import { parseVersionOutput } from "../firecracker/version.ts";
import type { FileFacts, Host } from "../host/host.ts";
import { findBinaries } from "../setup/find.ts";
import type { VetDeps } from "../setup/vet.ts";
import { WarderError } from "../vm/error.ts";
import type { HostPath } from "../vm/path.ts";
import type { Binaries } from "../vm/record.ts";

/** Where to look for Firecracker and the jailer. */
export interface BinarySettings {
  readonly firecracker?: HostPath;
  readonly jailer?: HostPath;
  readonly cacheDir: HostPath;
  readonly allowTestBinaries: boolean;
}

const VERSION_TIMEOUT_MS = 10_000;

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
 * soon as either file is another one, or was changed.
 */
export function rememberBinaries(host: Host, settings: BinarySettings): (signal: AbortSignal) => Promise<Binaries> {
  let known: { binaries: Binaries; stamp: string } | undefined;
  let finding: Promise<Binaries> | undefined;
  return async (signal) => {
    if (known !== undefined && stampOf(host, known.binaries) === known.stamp) return known.binaries;
    finding ??= find(host, settings, signal).finally(() => {
      finding = undefined;
    });
    const binaries = await finding;
    known = { binaries, stamp: stampOf(host, binaries) };
    return binaries;
  };
}

async function find(host: Host, settings: BinarySettings, signal: AbortSignal): Promise<Binaries> {
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

function stampOf(host: Host, { firecracker, jailer }: Binaries): string {
  return [firecracker, jailer].map((path) => stamp(host.files.inspect(path))).join(" ");
}

function stamp(facts: FileFacts | undefined): string {
  return facts === undefined
    ? "gone"
    : [facts.device, facts.inode, facts.size, facts.modifiedMs, facts.mode, facts.uid].join(":");
}
