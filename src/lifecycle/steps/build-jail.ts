import type { Host } from "../../host/host.ts";
import { type FileIdentity, toFileIdentity } from "../../isolation/wanted.ts";
import { claimDirectory, fifosOf, fillJail, fillUnjailed, placeFifos, removeJail } from "../../jailer/jail.ts";
import type { HostPath } from "../../vm/path.ts";
import type { Step } from "../engine.ts";
import { need, type StartContext } from "../start-context.ts";

/** Makes the directories, links, nodes and FIFOs that the jailer leaves to its user. */
export const buildJail: Step<StartContext> = {
  name: "build-jail",
  async run(context) {
    if (context.madeJail === true) return;
    const { machinery, plan } = context;
    claimDirectory(machinery.host, plan.layout);
    // From here on what lies there is ours: not before, as it may have been somebody else's that was in the way.
    context.madeJail = true;
    if (plan.spec.jailed) await buildJailed(context);
    else await fillUnjailed(machinery.host, plan.layout);
  },
  async undo(context) {
    if (context.madeJail !== true) return;
    await removeJail(context.machinery.host, context.plan.layout);
    context.madeJail = false;
  },
};

async function buildJailed(context: StartContext): Promise<void> {
  const { machinery, plan } = context;
  const user = need(context, "user");
  const spare = await machinery.spareFifos.take(Object.keys(fifosOf(plan.layout)).length);
  fillJail(machinery.host, plan.layout, user);
  context.rootIdentity = identityOf(machinery.host, plan.layout.root);
  placeFifos(machinery.host, plan.layout, user, spare);
}

function identityOf(host: Host, path: HostPath): FileIdentity {
  const facts = host.files.inspect(path);
  if (facts === undefined) throw new TypeError(`${path} was made and is not there`);
  return toFileIdentity(facts);
}
