import { jailerCgroups } from "../../cgroup/setting.ts";
import { firecrackerArgs } from "../../firecracker/arguments.ts";
import { jailerArgv } from "../../jailer/argv.ts";
import { fifosOf } from "../../jailer/jail.ts";
import { EndedEarly, findFirecracker, launch, waitForHold } from "../../jailer/launch.ts";
import { jailNames } from "../../jailer/layout.ts";
import { WarderError } from "../../vm/error.ts";
import type { HostPath } from "../../vm/path.ts";
import type { ProcessExit } from "../../vm/process.ts";
import { Drain } from "../drain.ts";
import { guardedEnd } from "../end-guard.ts";
import type { Step } from "../engine.ts";
import { outputFiles } from "../output-files.ts";
import { endProcess } from "../process-end.ts";
import { need, type StartContext } from "../start-context.ts";

/**
 * Starts the jailer, which becomes Firecracker, and waits until Firecracker asks for its configuration: the jail is
 * whole then, and no instruction of the guest has run.
 */
export const launchJailer: Step<StartContext> = {
  name: "launch",
  async run(context, signal) {
    if (context.process !== undefined) return;
    const { machinery, plan } = context;
    noteCommand(context);
    context.launch = await launch(machinery.host, plan.layout, programOf(context), argsOf(context));
    context.drains = openDrains(context);
    context.ended = endOf(context);
    try {
      const watch = { near: context.drains.log.firstByte, ended: context.ended };
      context.configWriter = await waitForHold(machinery.host, plan.layout, watch, signal);
    } catch (error) {
      throw error instanceof EndedEarly ? await explainEnd(context, error.exit) : error;
    }
    context.process = findFirecracker(machinery.host, plan.layout, context.launch.child, plan.spec.newPidNamespace);
    followProcess(context);
    recordProcess(context);
  },
  async undo(context) {
    if (context.configWriter !== undefined) machineryOf(context).host.fifos.close(context.configWriter);
    delete context.configWriter;
    await endProcess(context);
    for (const drain of Object.values(context.drains ?? {})) drain.detach();
  },
};

const machineryOf = (context: StartContext) => context.machinery;

function programOf({ plan }: StartContext): HostPath {
  return plan.spec.jailed ? plan.binaries.jailer : plan.binaries.firecracker;
}

/** The whole command line of the jailer, or of Firecracker where it is started without. */
function argsOf(context: StartContext): string[] {
  const { plan, machinery } = context;
  const { spec, layout, cgroup } = plan;
  const fifos = fifosOf(layout);
  const names = spec.jailed
    ? { configFile: jailNames.config, logPath: jailNames.log, metricsPath: jailNames.metrics }
    : { configFile: fifos.config, logPath: fifos.log, metricsPath: fifos.metrics };
  const firecracker = firecrackerArgs({ apiSocket: layout.apiSocket, ...names });
  if (!spec.jailed || cgroup === undefined) return ["--id", plan.id, ...firecracker];
  return jailerArgv({
    id: plan.id,
    execFile: plan.binaries.firecracker,
    ...need(context, "user"),
    chrootBase: layout.base,
    cgroupVersion: cgroup.placement.version,
    parentCgroup: machinery.settings.parentCgroup,
    cgroups: jailerCgroups(cgroup.settings),
    ...(spec.limits.openFiles === undefined ? {} : { openFiles: spec.limits.openFiles }),
    ...(spec.limits.fileSizeBytes === undefined ? {} : { fileSizeBytes: spec.limits.fileSizeBytes }),
    ...(spec.netns === undefined ? {} : { netns: spec.netns }),
    newPidNamespace: spec.newPidNamespace,
    firecracker,
  });
}

function openDrains(context: StartContext): NonNullable<StartContext["drains"]> {
  const { console, log, metrics } = need(context, "launch");
  const files = outputFiles(context.machinery, context.plan.id);
  return {
    console: new Drain(console, files.console, context.onConsole),
    log: new Drain(log, files.log),
    metrics: new Drain(metrics, files.metrics),
  };
}

/**
 * The end of Firecracker. With a new pid namespace the jailer ends by itself once it has started Firecracker; only its
 * failure counts then, until the process behind it is known.
 */
function endOf(context: StartContext): Promise<ProcessExit> {
  const { child } = need(context, "launch");
  if (!context.plan.spec.newPidNamespace) return child.exited;
  return new Promise((resolve) => {
    void child.exited.then((exit) => {
      if (exit.code !== 0) resolve(exit);
    });
  });
}

/** From now on the end is that of the process itself, where the child was only its parent; and it is helped along. */
function followProcess(context: StartContext): void {
  const { host } = context.machinery;
  const process = need(context, "process");
  const forever = new AbortController().signal;
  const ended = context.plan.spec.newPidNamespace
    ? host.processes.waitForEnd(process, forever).then((): ProcessExit => ({ code: null, signal: null }))
    : need(context, "ended");
  context.ended = guardedEnd(host, process, ended, need(context, "drains").log).then((exit) => {
    context.exit = exit;
    return exit;
  });
}

function recordProcess(context: StartContext): void {
  const process = need(context, "process");
  context.record = context.machinery.store.update(context.plan.id, (record) => ({ ...record, process }));
}

/** The log line that operators of seed-era managers know, with its fields. */
function noteCommand(context: StartContext): void {
  const { plan, machinery } = context;
  const user = need(context, "user");
  machinery.note(plan.spec.jailed ? "creating jailer command" : "creating firecracker command", {
    vm_id: plan.id,
    jailer_binary: plan.binaries.jailer,
    jailer_id: plan.id,
    chroot_path: plan.layout.alias,
    uid: user.uid,
    gid: user.gid,
    memory_limit: plan.spec.limits.memoryBytes,
    cpu_quota: plan.spec.limits.cpuPercent,
  });
}

/** What the jailer, or Firecracker before it asked for its configuration, said when it ended. */
async function explainEnd(context: StartContext, exit: ProcessExit): Promise<WarderError> {
  const drains = need(context, "drains");
  await Promise.race([drains.console.ended, context.machinery.host.clock.sleep(1_000)]);
  const said = drains.console.tail.replaceAll(/[^\x20-\x7e\n]/g, "").trim();
  const status = exit.signal === null ? `status ${exit.code}` : String(exit.signal);
  return new WarderError(context.plan.spec.jailed ? "jailer-failed" : "firecracker-failed", {
    doing: `starting the ${context.plan.spec.jailed ? "jailer" : "Firecracker"} of ${context.plan.id}`,
    why: `it ended with ${status}${said === "" ? " and said nothing" : `: ${said}`}`,
    cure: "See `warder doctor`",
  });
}
