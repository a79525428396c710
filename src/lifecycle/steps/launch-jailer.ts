import { waitUntilReady } from "../../firecracker/ready.ts";
import { linkJail } from "../../jailer/jail.ts";
import { EndedEarly, findFirecracker, launch, waitForFirecracker, waitForReader } from "../../jailer/launch.ts";
import { WarderError } from "../../vm/error.ts";
import type { ProcessExit, ProcessIdentity } from "../../vm/process.ts";
import { isApiOnly } from "../../vm/spec.ts";
import { abortable } from "../abortable.ts";
import { connectApi } from "../api.ts";
import { commandOf } from "../command.ts";
import { Drain } from "../drain.ts";
import { guardedEnd } from "../end-guard.ts";
import type { Step } from "../engine.ts";
import { outputFiles, outputPaths } from "../output-files.ts";
import { endOfOther, endProcess } from "../process-end.ts";
import { keepWanted } from "../prove-again.ts";
import { need, type StartContext } from "../start-context.ts";
import { endUnfinishedStart } from "../unfinished-start.ts";
import { wantedIsolation } from "../wanted.ts";
import { noteCommand } from "./note-command.ts";

/**
 * Starts the jailer, which becomes Firecracker, and waits until Firecracker asks for its configuration, or serves its
 * API where that is how it gets one: the jail is whole then, and no instruction of the guest has run.
 */
export const launchJailer: Step<StartContext> = {
  name: "launch",
  holdsEarlier: true,
  async run(context, signal) {
    if (context.process !== undefined) return;
    const { machinery, plan } = context;
    noteCommand(context);
    const { program, args } = commandOf(plan, need(context, "user"), machinery.settings.parentCgroup);
    context.launch = await launch(machinery.host, plan.layout, program, args);
    context.drains = openDrains(context);
    context.ended = endOf(context);
    prepareMeanwhile(context);
    try {
      await (isApiOnly(plan.spec) ? holdAtApi(context, signal) : holdAtConfig(context, signal));
      if (plan.spec.newPidNamespace) await parentEnded(context, signal);
    } catch (error) {
      throw error instanceof EndedEarly ? await explainEnd(context, error.exit) : error;
    }
    context.process = findFirecracker(machinery.host, plan.layout, context.launch.child, plan.spec.newPidNamespace);
    followProcess(context);
    if (context.record?.process === undefined) recordProcess(context, context.process);
  },
  async undo(context) {
    if (context.configWriter !== undefined) machineryOf(context).host.fifos.close(context.configWriter);
    delete context.configWriter;
    context.client?.close();
    delete context.client;
    await endProcess(context);
    await endUnknownProcess(context);
    if (context.drains === undefined) return;
    await Promise.all(Object.values(context.drains).map((drain) => drain.detach()));
    // The output of a VM's earlier runs stays with it.
    if (context.renewal !== undefined) return;
    // What it printed is in the error, as far as it tells anything; nobody could look its output up without a record.
    await context.machinery.host.files.removeTree(outputPaths(context.machinery.settings, context.plan.id).directory);
  },
};

/** With a new pid namespace Firecracker is another process than the one that was started, and may not be known yet. */
async function endUnknownProcess({ launch, process, record, plan, machinery }: StartContext): Promise<void> {
  if (launch === undefined || process !== undefined || record === undefined || !plan.spec.newPidNamespace) return;
  await endUnfinishedStart(machinery.host, record);
}

const machineryOf = (context: StartContext) => context.machinery;

/**
 * Firecracker still prepares itself when this settles, which takes it as long as the jail's proof takes this process. With
 * a new pid namespace only its asking tells that the jailer's parent process has written the pid down.
 */
async function holdAtConfig(context: StartContext, signal: AbortSignal): Promise<void> {
  const { machinery, plan } = context;
  const watch = { logged: need(context, "drains").log.firstByte, ended: need(context, "ended") };
  const writer = plan.spec.newPidNamespace
    ? await waitForReader(machinery.host, plan.layout, watch, signal)
    : await waitForFirecracker(machinery.host, plan.layout, watch, signal);
  if (writer !== undefined) context.configWriter = writer;
}

/**
 * The jailer's parent process writes down Firecracker's pid while that begins to run, and then ends: on a busy machine
 * Firecracker asks for its configuration before.
 */
async function parentEnded(context: StartContext, signal: AbortSignal): Promise<void> {
  await abortable(need(context, "launch").child.exited, signal);
}

/** Nobody else can start a guest meanwhile: the socket lies where only root and the jail's own user get to. */
async function holdAtApi(context: StartContext, signal: AbortSignal): Promise<void> {
  const { machinery, plan } = context;
  const exited = need(context, "ended");
  let exit: ProcessExit | undefined;
  void exited.then((ended) => {
    exit = ended;
  });
  context.client = connectApi(machinery.host, plan);
  const { clock } = machinery.host;
  const timeoutMs = plan.spec.startTimeoutMs;
  try {
    await waitUntilReady(context.client, plan.id, "Not started", { clock, signal, timeoutMs, exited });
  } catch (error) {
    signal.throwIfAborted();
    throw exit === undefined ? error : new EndedEarly(exit);
  }
}

function openDrains(context: StartContext): NonNullable<StartContext["drains"]> {
  const { console, log, metrics } = need(context, "launch");
  const files = outputFiles(context.machinery, context.plan.id);
  return {
    console: new Drain(console, files.console, { listener: context.onConsole }),
    log: new Drain(log, files.log),
    metrics: new Drain(metrics, files.metrics),
  };
}

/**
 * The end of Firecracker. With a new pid namespace the jailer ends by itself once it has made the process that becomes
 * Firecracker. That one's pid is not known before it asks for its configuration; but it holds the console as long as it
 * lives, so that it is gone when nobody does. Its status is the kernel's secret then.
 */
function endOf(context: StartContext): Promise<ProcessExit> {
  const { child } = need(context, "launch");
  if (!context.plan.spec.newPidNamespace) return child.exited;
  const { console } = need(context, "drains");
  return child.exited.then(async (exit) => {
    if (exit.code !== 0) return exit;
    await console.ended;
    return { code: null, signal: null };
  });
}

/** From now on the end is that of the process itself, where the child was only its parent; and it is helped along. */
function followProcess(context: StartContext): void {
  const { host } = context.machinery;
  const process = need(context, "process");
  const { layout, spec } = context.plan;
  const { signal: letGo } = context.letGo;
  const endOfIt = () => endOfOther(host, { process, layout }, need(context, "drains").console.ended, letGo);
  const isUnknown = ({ code, signal }: ProcessExit) => code === null && signal === null;
  // Whoever tells of children may have been killed: then the child is looked after as another's.
  const ended = spec.newPidNamespace
    ? endOfIt()
    : need(context, "ended").then((exit) => (isUnknown(exit) ? endOfIt() : exit));
  context.ended = guardedEnd(host, process, ended, need(context, "drains").log).then((exit) => {
    context.exit = exit;
    return exit;
  });
}

/** What has to be there before the guest runs, but not before the jailer does, which needs some milliseconds. */
function prepareMeanwhile(context: StartContext): void {
  const { machinery, plan } = context;
  const { identity } = need(context, "launch").child;
  // With a new pid namespace Firecracker is another process, which the jailer has yet to make.
  if (identity !== undefined && !plan.spec.newPidNamespace) recordProcess(context, identity);
  if (plan.spec.jailed) linkJail(machinery.host, plan.layout, plan.cgroup?.placement);
  context.wanted = wantedIsolation(context);
  keepWanted(machinery, context.wanted);
}

function recordProcess(context: StartContext, process: ProcessIdentity): void {
  const { machinery, plan, rootIdentity } = context;
  const root = rootIdentity === undefined ? {} : { rootIdentity };
  context.record = machinery.store.update(plan.id, (record) => ({ ...record, process, ...root }));
}

/** What the jailer, or Firecracker before it asked for its configuration, said when it ended. */
async function explainEnd(context: StartContext, exit: ProcessExit): Promise<WarderError> {
  const drains = need(context, "drains");
  await Promise.race([drains.console.ended, context.machinery.host.clock.sleep(1_000)]);
  const said = drains.console.tail.replaceAll(/[^\x20-\x7e\n]/g, "").trim();
  return new WarderError(context.plan.spec.jailed ? "jailer-failed" : "firecracker-failed", {
    doing: `starting the ${context.plan.spec.jailed ? "jailer" : "Firecracker"} of ${context.plan.id}`,
    why: `it ended${howItEnded(exit)}${said === "" ? " and said nothing" : `: ${said}`}`,
    cure: "See `warder doctor`",
  });
}

function howItEnded({ code, signal }: ProcessExit): string {
  if (signal !== null) return ` with ${signal}`;
  return code === null ? " before it was Firecracker" : ` with status ${code}`;
}
