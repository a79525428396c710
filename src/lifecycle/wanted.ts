import { wantedText } from "../cgroup/setting.ts";
import { type KnownFile, toFileIdentity, type WantedIsolation, type WantedLimit } from "../isolation/wanted.ts";
import { fifosOf } from "../jailer/jail.ts";
import { hostPathOf } from "../jailer/layout.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import { isApiOnly } from "../vm/spec.ts";
import { need, type StartContext } from "./start-context.ts";

/** Everything that a start asked for, in the words of the proof. Read once the jail is built and nothing untrusted runs. */
export function wantedIsolation(context: StartContext): WantedIsolation {
  const { plan, machinery } = context;
  const { spec, layout } = plan;
  const user = need(context, "user");
  const fifos = fifosOf(layout);
  const identityOf = (path: HostPath) => {
    const facts = machinery.host.files.inspect(path);
    if (facts === undefined) throw new TypeError(`${path} was made and is not there`);
    return toFileIdentity(facts);
  };
  const known = (name: string, path: HostPath): KnownFile => ({ name, ...identityOf(path) });
  const assetPath = (asset: (typeof plan.assets)[number]) =>
    spec.jailed ? hostPathOf(layout, asset.inside) : machinery.host.files.resolve(asset.path);
  return {
    id: plan.id,
    ...(spec.jailed
      ? { jail: { ...user, root: layout.root, rootIdentity: need(context, "rootIdentity"), execName: layout.execName } }
      : {}),
    ...(plan.netns === undefined ? {} : { netns: plan.netns }),
    newPidNamespace: spec.newPidNamespace,
    ...(plan.cgroup === undefined ? {} : { cgroup: plan.cgroup.placement }),
    limits: wantedLimits(context),
    ...(spec.limits.openFiles === undefined ? {} : { openFiles: spec.limits.openFiles }),
    ...(spec.limits.fileSizeBytes === undefined ? {} : { fileSizeBytes: spec.limits.fileSizeBytes }),
    ...(spec.limits.cpus === undefined ? {} : { cpus: spec.limits.cpus }),
    console: identityOf(fifos.console),
    files: [
      ...plan.assets.map((asset) => known(asset.role, assetPath(asset))),
      known("log", fifos.log),
      known("metrics", fifos.metrics),
      known("config", fifos.config),
    ],
    vcpus: spec.vcpus,
    ...(isApiOnly(spec) ? { apiOnly: true } : {}),
  };
}

/** Each cgroup setting as the kernel is to have stored it. */
function wantedLimits({ plan }: StartContext): WantedLimit[] {
  const { cgroup } = plan;
  if (cgroup === undefined) return [];
  return cgroup.settings.map((setting) => {
    const directory = cgroup.placement.directories[setting.controller];
    return {
      name: setting.control.replace(/^limit\./, ""),
      ...(directory === undefined ? {} : { file: toHostPath(`${directory}/${setting.file}`) }),
      wanted: wantedText(setting),
      rule: setting.stored.kind === "line" ? "line" : "exact",
    };
  });
}
