import { isWarderError, WarderError } from "../vm/error.ts";
import type { CommonRequest } from "./command.ts";
import { explain, statusOf } from "./explain.ts";
import type { ManagedVm, Manager } from "./manager/manager.ts";
import { openManager } from "./manager/open.ts";
import type { Operands } from "./operands.ts";
import { Progress } from "./progress.ts";
import { printJson, printLine, type Terminal } from "./terminal.ts";

/** What is asked of some VMs. */
export interface EachVmRequest extends CommonRequest {
  readonly ids: readonly string[];
}

/** The operands of such commands. */
export const vmOperands: Operands = { name: "ID", count: "one or more", help: "VMs, by their whole ids" };

/** What came of one VM: what `--json` shows beside its id, and a line for people. */
export interface Deed {
  readonly document: Readonly<Record<string, unknown>>;
  /** Default: the id. */
  readonly line?: string;
}

/** What is done to each VM, and what to say while it takes long. */
export interface Task {
  readonly doing: string;
  readonly act: (vm: ManagedVm) => Promise<Deed>;
  /** What came of a VM that is not there, where that is no failure. */
  readonly actWithout?: (id: string, manager: Manager) => Deed | undefined;
}

/**
 * Does something to each VM, to all at once, whatever becomes of the others; tells of them in the order of the command
 * line.
 *
 * @returns The exit status: of the first failure, or 0.
 */
export async function eachVm(
  request: EachVmRequest,
  terminal: Terminal,
  { doing, act, actWithout }: Task,
): Promise<number> {
  await using manager = await openManager(request, terminal);
  using progress = new Progress(terminal, `${doing} ${request.ids.join(", ")}`);
  const attempt = async (id: string): Promise<Deed> => {
    try {
      return await act(manager.get(id));
    } catch (error) {
      const deed = isWarderError(error) && error.code === "vm-not-found" ? actWithout?.(id, manager) : undefined;
      if (deed === undefined) throw error;
      return deed;
    }
  };
  const work = request.ids.map((id) => ({ id, done: attempt(id) }));
  // Each failure is told in its turn below, however early it comes.
  for (const { done } of work) done.catch(() => undefined);
  let status = 0;
  for (const { id, done } of work) {
    try {
      const deed = await done;
      progress.clear();
      if (request.json) printJson(terminal, { id, ...deed.document });
      else printLine(terminal, deed.line ?? id);
    } catch (error) {
      progress.clear();
      const known = WarderError.from(error, "internal", `${doing} ${id}`);
      // The id tells which one failed where several were asked for.
      if (request.json) printJson(terminal, { id, error: known.toJSON() });
      explain(terminal, error, false);
      status ||= statusOf(error);
    }
  }
  return status;
}
