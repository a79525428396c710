import { hostPathOf } from "../../jailer/layout.ts";
import { type HostPath, type JailPath, toHostPath } from "../../vm/path.ts";
import type { Step } from "../engine.ts";
import type { StartPlan } from "../plan.ts";
import { need, type StartContext } from "../start-context.ts";

/** In the root of the jail itself: what lies deeper could be led elsewhere by the time it is removed. */
const IN_JAIL = "/metadata" as JailPath;

/**
 * Puts what a guest is served where Firecracker reads it after its configuration, so that it is there before the guest
 * asks. Only root and the jail's user may read it.
 */
export const placeMetadata: Step<StartContext> = {
  name: "place-metadata",
  run(context) {
    const { machinery, plan } = context;
    const { metadata } = plan.spec;
    if (metadata === undefined) return;
    const { files, processes } = machinery.host;
    files.removeFile(onHost(plan));
    const ownership = { mode: 0o640, uid: processes.effectiveUid, gid: need(context, "user").gid };
    files.writeText(onHost(plan), JSON.stringify(metadata.data), ownership);
  },
};

/** Takes the file away once it was read: it may hold secrets, and nobody needs it any more. */
export const takeMetadata: Step<StartContext> = {
  name: "take-metadata",
  run({ machinery, plan }) {
    if (plan.spec.metadata !== undefined) machinery.host.files.removeFile(onHost(plan));
  },
};

/** The file as Firecracker sees it; absent for a VM without metadata. */
export function metadataFile(plan: Pick<StartPlan, "spec" | "layout">): JailPath | HostPath | undefined {
  if (plan.spec.metadata === undefined) return undefined;
  return plan.spec.jailed ? IN_JAIL : onHost(plan);
}

function onHost({ spec, layout }: Pick<StartPlan, "spec" | "layout">): HostPath {
  return spec.jailed ? hostPathOf(layout, IN_JAIL) : toHostPath(`${layout.directory}${IN_JAIL}`);
}
