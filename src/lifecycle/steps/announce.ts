import { WarderError } from "../../vm/error.ts";
import type { Step } from "../engine.ts";
import { need, type StartContext } from "../start-context.ts";

/** Writes down that the VM runs, and how it was proven; unless it was told to stop meanwhile, by whatever process. */
export const announce: Step<StartContext> = {
  name: "announce",
  run(context) {
    const { machinery, plan } = context;
    const process = need(context, "process");
    const isolation = need(context, "isolation");
    const startedAt = machinery.host.clock.now();
    context.record = machinery.store.update(plan.id, (record) => {
      if (record.state === "running") return record;
      if (record.state !== "starting") throw stoppedMeanwhile(plan.id);
      return { ...record, state: "running", process, isolation, startedAt };
    });
  },
  undo({ machinery, record }) {
    if (record === undefined) return;
    machinery.store.update(record.id, (current) =>
      current.state === "running" ? { ...current, state: "stopping" } : current,
    );
  },
};

function stoppedMeanwhile(id: string): WarderError {
  return new WarderError("aborted", { doing: `starting ${id}`, why: "it was told to stop before it ran" });
}
