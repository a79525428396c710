import type { Step } from "../engine.ts";
import { need, type StartContext } from "../start-context.ts";

/**
 * Makes the VM's network: its namespace, the devices in it, addresses and rules. What makes them is loaded with the first
 * VM that has a network: the others do not wait for it.
 */
export const buildNetwork: Step<StartContext> = {
  name: "build-network",
  async run(context, signal) {
    if (context.plan.spec.networks === undefined || context.networkControls !== undefined) return;
    const { makeNetwork, readNetworkControls, reserveNetwork } = await import("../network.ts");
    const { machinery } = context;
    context.record = await reserveNetwork(machinery, need(context, "record"), signal);
    context.record = await makeNetwork(machinery, context.record, signal);
    const { record } = context;
    // Read back while the jailer works; whoever proves the jail waits for it.
    context.networkControls = readNetworkControls(machinery, record, "held", signal);
    context.networkControls.catch(() => undefined);
  },
  async undo(context) {
    const { machinery, plan, record } = context;
    if (plan.spec.networks === undefined || record === undefined) return;
    await context.networkControls?.catch(() => undefined);
    delete context.networkControls;
    const { removeVmNetwork } = await import("../network.ts");
    await removeVmNetwork(machinery, record);
  },
};
