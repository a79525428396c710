import { chooseVersion } from "../cgroup/choose.ts";
import { compileContext, compileLimits } from "../cgroup/compile.ts";
import { neededControllers } from "../cgroup/controllers.ts";
import type { CgroupHost } from "../cgroup/detect.ts";
import { placeVm } from "../cgroup/place.ts";
import type { CgroupSetting } from "../cgroup/setting.ts";
import { layOut, layOutUnjailed } from "../jailer/layout.ts";
import { type Asset, assetProblem } from "../jailer/stage.ts";
import { namespaceOf, needsNamespace } from "../network/namespace.ts";
import type { LedgerEntry } from "../store/ledger.ts";
import { type FieldProblem, WarderError } from "../vm/error.ts";
import { generateVmId, type VmId } from "../vm/id.ts";
import type { HostPath, JailPath } from "../vm/path.ts";
import type { CgroupPlacement, JailLayout, VmBinaries } from "../vm/record.ts";
import type { VmSpec } from "../vm/spec.ts";
import type { LifecycleSettings, Machinery } from "./machinery.ts";

/** A start thought through to the end, before anything is made. */
export interface StartPlan {
  readonly id: VmId;
  readonly spec: VmSpec;
  readonly binaries: VmBinaries;
  readonly layout: JailLayout;
  readonly assets: readonly Asset[];
  /** Network namespace that Firecracker joins: the caller's, or the VM's own. Absent: the host's. */
  readonly netns?: HostPath;
  /** Absent without the jailer. */
  readonly cgroup?: CgroupPlan;
}

/** The cgroups of a VM and what is to stand in their files. */
export interface CgroupPlan {
  readonly placement: CgroupPlacement;
  readonly settings: readonly CgroupSetting[];
  /** Controllers that the process is put into once it runs: they limit nothing, they count. */
  readonly joins: readonly string[];
  /** Controllers that limit, which must be there for the jailer. */
  readonly controllers: readonly string[];
}

/**
 * Thinks a start through: chooses id, binaries, cgroup version and paths, and looks at every asset, so that what can be
 * refused is refused before anything is made, all of it at once.
 *
 * @throws {@link WarderError} `asset-unfit`, `socket-path-too-long`, `cgroup-unavailable`, `binary-missing` …
 */
export async function planStart(machinery: Machinery, spec: VmSpec, signal: AbortSignal): Promise<StartPlan> {
  const { host, settings } = machinery;
  refuseUnjailed(machinery, spec);
  const id = spec.id ?? generateVmId(host.clock.nowNanoseconds());
  const assets = assetsOf(machinery, spec);
  refuseUnfitAssets(machinery, id, assets);
  const binaries = await machinery.binaries({ jailed: spec.jailed, signal });
  if (!spec.jailed) {
    return {
      id,
      spec,
      binaries,
      assets,
      layout: layOutUnjailed(settings.stateDir, binaries.firecracker, id, spec.apiSocket),
    };
  }
  const layout = layOut(settings.chrootBase, binaries.firecracker, id, spec.apiSocket);
  const cgroup = planCgroup(machinery.cgroups, settings, id, spec);
  return { id, spec, binaries, layout, assets, ...planNamespace(id, spec), cgroup };
}

/** Chooses the cgroup version and compiles the limits to it. Pure. */
export function planCgroup(
  cgroups: CgroupHost,
  settings: Pick<LifecycleSettings, "cgroupVersion" | "parentCgroup">,
  id: VmId,
  spec: VmSpec,
): CgroupPlan {
  const controllers = neededControllers(spec.limits);
  const version = chooseVersion(cgroups, controllers, settings.cgroupVersion);
  const compiled = compileLimits(spec.limits, compileContext(cgroups, version));
  const placement = placeVm(cgroups, version, settings.parentCgroup, id, compiled.controllers);
  return { placement, settings: compiled.settings, joins: compiled.joins, controllers };
}

/** The network namespace that Firecracker joins, if it is another than the host's. Pure. */
export function planNamespace(id: VmId, { netns, networks }: VmSpec): Pick<StartPlan, "netns"> {
  const path = needsNamespace(networks) ? namespaceOf(id).path : netns;
  return path === undefined ? {} : { netns: path };
}

/** Everything on the host that a start makes, in the ledger's terms. */
export function ledgerOf(plan: StartPlan): LedgerEntry[] {
  const { layout, cgroup } = plan;
  const cgroups = new Set(Object.values(cgroup?.placement.directories ?? {}));
  return [
    { kind: "directory", name: layout.directory },
    ...(cgroup === undefined ? [] : [{ kind: "link" as const, name: layout.alias }]),
    ...[...cgroups].map((name) => ({ kind: "cgroup" as const, name })),
    { kind: "process", name: layout.directory },
  ];
}

function refuseUnjailed(machinery: Machinery, spec: VmSpec): void {
  if (spec.jailed || (spec.policy === "degrade" && !machinery.settings.production)) return;
  const reason = machinery.settings.production ? "this is production" : "the isolation policy is strict";
  throw new WarderError("unjailed-refused", {
    doing: "starting a VM without the jailer",
    why: `${reason}: Production requires sandboxing!`,
    cure: machinery.settings.production
      ? "Install the jailer (`warder setup`) and start the VM jailed"
      : "Start it jailed, or ask for the policy `degrade` where isolation does not matter",
  });
}

function assetsOf(machinery: Machinery, spec: VmSpec): Asset[] {
  const kernel = spec.kernel === "probe" ? machinery.probeKernel : spec.kernel;
  const asset = (role: string, path: Asset["path"], inside: string, writable: boolean): Asset => ({
    role,
    path,
    inside: inside as JailPath,
    writable,
  });
  return [
    ...(kernel === "none" ? [] : [asset("kernel", kernel, "/kernel", false)]),
    ...(spec.initrd === undefined ? [] : [asset("initrd", spec.initrd, "/initrd", false)]),
    ...spec.drives.map((drive) => asset(`drive ${drive.id}`, drive.path, `/drive-${drive.id}`, !drive.readOnly)),
  ];
}

function refuseUnfitAssets(machinery: Machinery, id: VmId, assets: readonly Asset[]): void {
  const fields = assets.flatMap((asset): FieldProblem[] => {
    const problem = assetProblem(machinery.host, asset);
    return problem === undefined ? [] : [{ field: asset.role, problem: `${asset.path} ${problem}` }];
  });
  if (fields.length === 0) return;
  const isMissing = fields.every(({ problem }) => problem.endsWith("is not there"));
  throw new WarderError(isMissing ? "asset-missing" : "asset-unfit", {
    doing: `looking at the files of the VM ${id}`,
    why: fields.length === 1 ? "one can not be used" : `${fields.length} can not be used`,
    fields,
  });
}
