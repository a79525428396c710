import type { Host } from "../host/host.ts";
import { isWarderError, messageOf, WarderError } from "../vm/error.ts";
import type { HostPath } from "../vm/path.ts";
import type { NftDocument } from "./rules/document.ts";
import { APPLY_RULES } from "./scripts.ts";

/** What gives an operation on a network up: a signal, and a deadline of its own. */
export interface Bounds {
  readonly signal?: AbortSignal;
  /** Default 10 000. */
  readonly timeoutMs?: number;
}

/**
 * Runs a script of `scripts.ts`, which ends with this process: what it would still make after that, whoever puts things in
 * order could not know of.
 */
export async function runScript(
  host: Host,
  script: string,
  args: readonly string[],
  options: Bounds & { readonly input?: string } = {},
): Promise<string> {
  const command = ["--pdeathsig", "KILL", "sh", "-c", script, "sh", ...args];
  const { stdout } = await host.commands.run({ tool: "setpriv", args: command, ...options });
  return stdout;
}

/** Runs a tool in a network namespace, or in the host's own. */
export async function runTool(
  host: Host,
  namespace: HostPath | undefined,
  tool: string,
  args: readonly string[],
  options: Bounds & { readonly input?: string } = {},
): Promise<string> {
  const where = namespace === undefined ? [] : [`--net=${namespace}`];
  const command = namespace === undefined ? { tool, args } : { tool: "nsenter", args: [...where, tool, ...args] };
  const { stdout } = await host.commands.run({ ...command, ...options });
  return stdout;
}

/** Gives a document to nft, in the host's own namespace or another. */
export async function applyDocument(
  host: Host,
  namespace: HostPath | undefined,
  document: NftDocument,
  bounds: Bounds,
): Promise<void> {
  await runTool(host, namespace, "sh", ["-c", APPLY_RULES], { ...bounds, input: JSON.stringify(document) });
}

/** Tools that networks are made with, and where Debian has them. */
const packages: Readonly<Record<string, string>> = {
  ip: "iproute2",
  nft: "nftables",
  nsenter: "util-linux",
  setpriv: "util-linux",
};

/** @throws {@link WarderError} `tool-missing`, before anything is made. */
export function requireTools(host: Host, tools: readonly string[] = Object.keys(packages)): void {
  const missing = tools.filter((tool) => host.commands.find(tool) === undefined);
  if (missing.length === 0) return;
  throw new WarderError("tool-missing", {
    doing: "making a VM's network",
    why: `${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} not installed`,
    cure: `Install ${missing.map((tool) => packages[tool] ?? tool).join(" and ")}`,
  });
}

/** What a tool said when it failed, in the words of networks. An abort stays what it is. */
export function networkFailure(error: unknown, doing: string): unknown {
  if (isWarderError(error) && error.code === "deadline-exceeded" && error.doing.startsWith("running ")) {
    return new WarderError(error.code, { doing, why: error.why, cure: "See what keeps the host busy", cause: error });
  }
  if (!isWarderError(error) || error.code !== "tool-failed") return error;
  const said = meaningful(error.why);
  const known = knownFailures.find(({ pattern }) => pattern.test(said));
  return new WarderError(known?.code ?? "network-failed", {
    doing,
    why: said,
    cure: known?.cure ?? "See `warder doctor`",
    cause: error,
  });
}

const knownFailures = [
  {
    pattern: /File exists/,
    code: "network-name-taken",
    cure: "Another manager, or an earlier one, made it: see `warder gc --dry-run`, and `ip netns` and `ip link`; or use another id",
  },
  {
    pattern: /Operation not permitted|Permission denied|Read-only file system/,
    code: "permission-denied",
    cure: "Run as root with CAP_NET_ADMIN and CAP_SYS_ADMIN, and a writable /proc/sys",
  },
  {
    pattern:
      /Unknown device type|Operation not supported|No such file or directory: \/dev\/net\/tun|Could not process rule/,
    code: "network-unavailable",
    cure: "Load the modules veth, tun, bridge and nf_tables, or use a kernel that has them; see `warder doctor`",
  },
] as const;

/** Without the tools' own framing. */
function meaningful(text: string): string {
  const lines = text.split("\n").filter((line) => line !== "" && !/^Command failed -:\d+$/.test(line));
  return (lines.length === 0 ? text : lines.slice(0, 3).join("; ")).replaceAll(/[^\x20-\x7e]/g, "") || messageOf(text);
}
