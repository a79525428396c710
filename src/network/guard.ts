import type { Host } from "../host/host.ts";
import { isWarderError } from "../vm/error.ts";
import { type FoundRuleset, parseRuleset, tableDifferences } from "./rules/compare.ts";
import { refreshTable } from "./rules/document.ts";
import type { Table } from "./rules/expressions.ts";
import { guardTable } from "./rules/outside.ts";
import { applyDocument, type Bounds, networkFailure, runTool } from "./tools.ts";

/**
 * Puts the host's own rules about VMs in force. Idempotent: ports that were opened for VMs stay open, counts go on.
 *
 * @throws {@link WarderError} `network-unavailable`, `network-failed`, `permission-denied`.
 */
export async function ensureGuard(host: Host, bounds: Bounds = {}): Promise<void> {
  try {
    await applyDocument(host, undefined, refreshTable(guardTable), bounds);
  } catch (error) {
    throw networkFailure(error, "making the host's rules about VMs");
  }
}

/** What is not as wanted in the host's own rules about VMs: one clause for each difference. */
export async function guardDifferences(host: Host, bounds: Bounds = {}): Promise<string[]> {
  return tableDifferences(guardTable, await readTable(host, guardTable, bounds));
}

/** What of a table is in force on the host. Other software's tables, which can be huge, are not read. */
export async function readTable(
  host: Host,
  { family, name }: Pick<Table, "family" | "name">,
  bounds: Bounds,
): Promise<FoundRuleset> {
  try {
    return parseRuleset(await runTool(host, undefined, "nft", ["-j", "list", "table", family, name], bounds));
  } catch (error) {
    if (isWarderError(error) && error.why.includes("No such file or directory")) return [];
    throw error;
  }
}
