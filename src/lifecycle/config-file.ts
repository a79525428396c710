import { type ConfigFileChoice, type ConfigOverrides, chooseConfigFile } from "../config/config.ts";
import { CONFIG_FILE_MAX_BYTES, type ConfigFile } from "../config/file.ts";
import type { FileFacts, Host } from "../host/host.ts";
import { messageOf, WarderError } from "../vm/error.ts";

/**
 * Brings the configuration file, where there is one. It decides what root runs and whom root obeys: one that others can
 * change is refused.
 *
 * @throws {@link WarderError} `invalid-config`: it was named and is not there, or can not be trusted or read.
 */
export function readConfigFile(host: Host, overrides: ConfigOverrides): ConfigFile | undefined {
  const choice = chooseConfigFile(overrides);
  const { path } = choice;
  if (!path.startsWith("/")) throw unreadable(choice, "must be an absolute path");
  const facts = host.files.inspectFollowing(path);
  if (facts === undefined && choice.namedBy === undefined) return undefined;
  const problem = facts === undefined ? "is not there" : trustProblem(facts, host.processes.effectiveUid);
  if (problem !== undefined) throw unreadable(choice, problem);
  try {
    return { path, text: host.files.readText(path, CONFIG_FILE_MAX_BYTES) };
  } catch (error) {
    throw unreadable(choice, `can not be read: ${messageOf(error)}`);
  }
}

const WRITABLE_BY_OTHERS = 0o022;

function trustProblem({ kind, uid, mode, size }: FileFacts, self: number): string | undefined {
  if (kind !== "file") return `must be a file, not a ${kind}`;
  if (size > CONFIG_FILE_MAX_BYTES) return `has ${size} bytes, and may have ${CONFIG_FILE_MAX_BYTES}`;
  if (uid !== 0 && uid !== self) return `belongs to user ${uid}, who could change what Warder does; make it root's`;
  if ((mode & WRITABLE_BY_OTHERS) !== 0) return "can be changed by others than its owner; use mode 0644 or 0600";
  return undefined;
}

function unreadable({ path, namedBy }: ConfigFileChoice, problem: string): WarderError {
  return new WarderError("invalid-config", {
    doing: `reading the configuration file ${path}`,
    why: "it can not be used",
    fields: [{ field: namedBy ?? path, problem: `${path} ${problem}` }],
  });
}
