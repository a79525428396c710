import { stageAsset } from "../../jailer/stage.ts";
import type { Step } from "../engine.ts";
import { need, type StartContext } from "../start-context.ts";

/** Brings kernel, initrd and disks into the jail. The jail's removal takes them away. */
export const stageAssets: Step<StartContext> = {
  name: "stage-assets",
  async run(context, signal) {
    const { machinery, plan } = context;
    if (!plan.spec.jailed) return;
    const user = need(context, "user");
    for (const asset of plan.assets) await stageAsset(machinery.host, plan.layout, user, asset, signal);
  },
};
