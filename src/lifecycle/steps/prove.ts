import { type PhaseProof, proveHeld, proveRunning, reportIsolation, withControls } from "../../isolation/prove.ts";
import { WarderError } from "../../vm/error.ts";
import { INSECURE_WARNING, type IsolationReport } from "../../vm/isolation.ts";
import { endsSoon } from "../end-guard.ts";
import type { Step } from "../engine.ts";
import { need, type StartContext } from "../start-context.ts";
import { wantedIsolation } from "../wanted.ts";

/** Reads the whole jail back from the kernel before the guest may run. Strict refuses here: nothing untrusted has run. */
export const proveJail: Step<StartContext> = {
  name: "prove-jail",
  async run(context) {
    const { machinery, plan } = context;
    context.wanted ??= wantedIsolation(context);
    const held = proveHeld(machinery.host, need(context, "process"), context.wanted);
    const { networkControls } = context;
    context.heldProof = networkControls === undefined ? held : withControls(held, await networkControls);
    if (context.heldProof.vanished) throw endedWhileProven(plan.id);
    if (plan.spec.jailed) refuseGaps(context, context.heldProof);
  },
};

/** Reads back what exists only with the guest running, and once more what may have changed. */
export const proveGuest: Step<StartContext> = {
  name: "prove-guest",
  async run(context, signal) {
    const running = await lookAtGuest(context, signal);
    if (context.plan.spec.jailed && running !== undefined) refuseGaps(context, running);
    context.isolation = reportOf(context, running);
    warnOfGaps(context, context.isolation);
  },
};

/**
 * The report of a VM whose guest is its user's to start: what is to be read with a guest running stays unread until
 * `Vm.prove`.
 */
export const reportJail: Step<StartContext> = {
  name: "report-jail",
  run(context) {
    context.isolation = reportOf(context, undefined);
    warnOfGaps(context, context.isolation);
  },
};

/** Controls that are not yet as they will be when Firecracker has only just started its guest, or no more at its end. */
const unsettledControls = new Set(["threads", "seccomp", "no-new-privs", "descriptors"]);

/**
 * The first look is taken as soon as the guest runs, as some guests do not run for long. Firecracker installs the last
 * of its filters right after that, and is sure to have them when it answers on its API: a gap is looked at again then,
 * and for a while: on a busy machine a thread that was made a moment ago has not come to run yet. `undefined` where the process was on its way out, which says nothing about its jail; one that stays, stays with its
 * gaps.
 */
async function lookAtGuest(context: StartContext, signal: AbortSignal): Promise<PhaseProof | undefined> {
  const look = () => proveRunning(context.machinery.host, need(context, "process"), need(context, "wanted"));
  await letGuestSpeak(context);
  const first = look();
  if (isSettled(first)) return first;
  await need(context, "answered").catch(() => undefined);
  const { clock } = context.machinery.host;
  const until = clock.monotonic() + SETTLED_WITHIN_MS;
  for (;;) {
    const again = look();
    if (isSettled(again)) return again;
    if (again.vanished || clock.monotonic() > until) return (await endsSoon(context)) ? undefined : again;
    await clock.sleep(LOOK_AGAIN_MS, signal);
  }
}

/** A gap that is none is over within a few milliseconds; seconds later on a machine with ten times too much to do. */
const SETTLED_WITHIN_MS = 1_000;
const LOOK_AGAIN_MS = 10;

/** The look takes this process a millisecond, in which the guest's first words would go unread: they go first. */
const GUEST_SPEAKS_WITHIN_MS = 1;

async function letGuestSpeak(context: StartContext): Promise<void> {
  const { clock } = context.machinery.host;
  const answered = need(context, "answered").catch(() => undefined);
  await Promise.race([need(context, "drains").console.firstByte, answered, clock.sleep(GUEST_SPEAKS_WITHIN_MS)]);
}

function isSettled({ controls, unread, vanished }: PhaseProof): boolean {
  // Threads end before their process does: one that is missing is unread, not a gap.
  if (!vanished && unread.includes("threads")) return false;
  return controls.every(({ name, ok }) => ok || !unsettledControls.has(name));
}

function endedWhileProven(id: string): WarderError {
  return new WarderError("firecracker-failed", {
    doing: `proving the isolation of ${id}`,
    why: "its process ended while it waited for its configuration",
    cure: "Look for who killed it: the kernel's log names processes it ended for want of memory",
  });
}

function reportOf(context: StartContext, running: PhaseProof | undefined): IsolationReport {
  const held = need(context, "heldProof");
  return reportIsolation(context.plan.spec.policy, need(context, "wanted"), {
    held,
    ...(running === undefined ? {} : { running }),
  });
}

/** A control that is not as asked. One that could not be read because the VM had ended is no danger any more. */
function refuseGaps(context: StartContext, proof: PhaseProof): void {
  const { plan } = context;
  const gaps = proof.controls.filter((control) => !control.ok);
  if (gaps.length === 0 || isTolerant(context)) return;
  throw new WarderError("isolation-gap", {
    doing: `proving the isolation of ${plan.id}`,
    why:
      gaps.length === 1
        ? "one control is not what was asked for"
        : `${gaps.length} controls are not what was asked for`,
    fields: gaps.map(({ name, wanted, found }) => ({ field: name, problem: `wanted ${wanted}, found ${found}` })),
    cure: "The VM was removed. See `warder doctor`; the policy `degrade` starts it with its gaps named",
  });
}

function isTolerant({ plan, machinery }: StartContext): boolean {
  return plan.spec.policy === "degrade" && !machinery.settings.production;
}

/** Once for a VM that is started again and again without the jailer; of gaps each time, as they are found anew. */
function warnOfGaps({ machinery, plan, record }: StartContext, { level, gaps }: IsolationReport): void {
  if (level === "degraded")
    machinery.warn("VM is not isolated as asked (INSECURE for production!)", { vm_id: plan.id, gaps });
  const isFirst = (record?.incarnation ?? 1) === 1;
  if (level === "unjailed" && isFirst) machinery.warn(INSECURE_WARNING, { vm_id: plan.id });
}
