import { type PhaseProof, proveHeld, proveRunning, reportIsolation } from "../../isolation/prove.ts";
import { WarderError } from "../../vm/error.ts";
import type { IsolationReport } from "../../vm/isolation.ts";
import { endsSoon } from "../end-guard.ts";
import type { Step } from "../engine.ts";
import { need, type StartContext } from "../start-context.ts";
import { wantedIsolation } from "../wanted.ts";

/** Reads the whole jail back from the kernel before the guest may run. Strict refuses here: nothing untrusted has run. */
export const proveJail: Step<StartContext> = {
  name: "prove-jail",
  run(context) {
    const { machinery, plan } = context;
    context.wanted = wantedIsolation(context);
    context.heldProof = proveHeld(machinery.host, need(context, "process"), context.wanted);
    if (plan.spec.jailed) refuseGaps(context, context.heldProof);
  },
};

/** Reads back what exists only with the guest running, and once more what may have changed. */
export const proveGuest: Step<StartContext> = {
  name: "prove-guest",
  async run(context) {
    const { machinery, plan } = context;
    let running: PhaseProof | undefined = proveRunning(
      machinery.host,
      need(context, "process"),
      need(context, "wanted"),
    );
    // A process on its way out has lost threads and descriptors, which says nothing about its jail: what was not seen
    // of it alive counts as unread. One that stays, stays with its gaps.
    if (running.controls.some((control) => !control.ok) && (await endsSoon(context))) running = undefined;
    if (plan.spec.jailed && running !== undefined) refuseGaps(context, running);
    context.isolation = reportOf(context, running);
    warnOfGaps(context, context.isolation);
  },
};

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

function warnOfGaps({ machinery, plan }: StartContext, report: IsolationReport): void {
  if (report.level !== "degraded") return;
  machinery.warn("VM is not isolated as asked (INSECURE for production!)", { vm_id: plan.id, gaps: report.gaps });
}
