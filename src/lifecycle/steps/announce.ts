import type { Step } from "../engine.ts";
import { need, type StartContext } from "../start-context.ts";

/** Writes down that the VM runs, and how it was proven. */
export const announce: Step<StartContext> = {
  name: "announce",
  run(context) {
    const { machinery, plan } = context;
    const process = need(context, "process");
    const isolation = need(context, "isolation");
    context.record = machinery.store.update(plan.id, (record) => ({ ...record, state: "running", process, isolation }));
  },
};
