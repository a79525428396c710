import { applySettings, joinControllers } from "../../cgroup/apply.ts";
import type { Step } from "../engine.ts";
import { removeVmCgroups } from "../removal-steps.ts";
import { need, type StartContext } from "../start-context.ts";

/** Writes the limits that the jailer can not carry, and removes the VM's cgroups when a start fails. */
export const applyCgroup: Step<StartContext> = {
  name: "apply-cgroup",
  run(context) {
    const { plan, machinery } = context;
    if (plan.cgroup === undefined) return;
    applySettings(machinery.host, plan.cgroup.placement, plan.cgroup.settings);
    joinControllers(machinery.host, plan.cgroup.placement, plan.cgroup.joins, need(context, "process").pid);
  },
};

/**
 * The jailer makes the cgroups; this step, which stands before the launch, only answers for their removal, so that they
 * go after the process and before the jail.
 */
export const answerForCgroups: Step<StartContext> = {
  name: "answer-for-cgroups",
  run() {
    // Made by the jailer, in the step that follows.
  },
  async undo({ machinery, plan }) {
    if (plan.cgroup !== undefined) await removeVmCgroups(machinery, plan.cgroup.placement);
  },
};
