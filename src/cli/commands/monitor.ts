import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { outputPaths } from "../../lifecycle/output-files.ts";
import type { Vm } from "../../lifecycle/vm.ts";
import { Warder } from "../../lifecycle/warder.ts";
import { messageOf } from "../../vm/error.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { statusOf } from "../explain.ts";
import type { Interruption } from "../interruption.ts";
import { type JournalFile, MonitorJournal } from "../monitor-journal.ts";
import { type MonitorAnswer, type MonitorJob, type MonitorTask, toErrorDocument } from "../monitor-task.ts";
import { printJson, type Terminal } from "../terminal.ts";

const JOURNAL_LIMIT_BYTES = 64 * 1024;

export const monitorCommand = defineCommand({
  operands: { name: "ID", count: "at most one", help: "the VM, for those who list processes" },
  flags: {},
  examples: [],
  parse: ({ common }): CommonRequest => common,
  execute: (_request, terminal, interruption) => monitor(process.stdin, terminal, interruption),
});

/**
 * Starts the VM that its input describes or names, says so, and looks after it until it has ended, and through its
 * restarts. What a signal tells it is to let go: a start is taken back then, and a VM that runs goes on, for the next
 * manager to adopt.
 */
export async function monitor(
  input: Readable,
  terminal: Terminal,
  // Whoever asked for it may not have waited for the answer: the VM is looked after all the same.
  { told: signal }: Pick<Interruption, "told">,
): Promise<number> {
  const journal = new MonitorJournal();
  const answer = (document: MonitorAnswer) => printJson(terminal, document);
  try {
    const task = JSON.parse(await text(input)) as MonitorTask;
    await using warder = await Warder.open({ role: "visitor", ...task.overrides, reporter: journal });
    warder.machinery.host.processes.closeInherited();
    const vm = await begin(warder, task.job, signal);
    answer({ view: vm.inspect(), warnings: journal.takeWarnings() });
    journal.writeTo(openJournal(warder, vm));
    // Where another process has the VM in hands, or it has ended already, nothing is left to do here.
    if (vm.isLookedAfter && !vm.lookAfter()) return 0;
    await lookAfter(vm, task, signal);
    return 0;
  } catch (error) {
    if (journal.isOpen) journal.warn("nobody looks after the VM any more", { error: messageOf(error) });
    else answer({ error: toErrorDocument(error), warnings: journal.takeWarnings() });
    return statusOf(error);
  }
}

async function begin(warder: Warder, job: MonitorJob, signal: AbortSignal): Promise<Vm> {
  const retry = "idempotencyKey" in job ? { idempotencyKey: job.idempotencyKey } : {};
  if (job.kind === "run") return warder.run(job.spec, { signal, ...retry });
  const vm = warder.get(job.id);
  if (job.kind === "start") await vm.start({ signal, ...retry });
  else vm.lookAfter();
  return vm;
}

function openJournal({ machinery }: Warder, { id }: Vm): JournalFile {
  const path = `${outputPaths(machinery.settings, id).directory}/monitor`;
  return machinery.host.files.openBounded(path, JOURNAL_LIMIT_BYTES);
}

async function lookAfter(vm: Vm, { forget }: MonitorTask, signal: AbortSignal): Promise<void> {
  try {
    await vm.wait({ signal });
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  if (forget) await vm.remove();
}
