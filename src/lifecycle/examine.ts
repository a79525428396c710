import { chooseVersion } from "../cgroup/choose.ts";
import { v1Name } from "../cgroup/controllers.ts";
import { type CgroupHost, detectCgroups, v1HierarchyOf } from "../cgroup/detect.ts";
import { ensureParent } from "../cgroup/parent.ts";
import { placeVm } from "../cgroup/place.ts";
import type { Config, ConfigOverrides } from "../config/config.ts";
import type { DoctorCgroups, DoctorDeps, DoctorSettings } from "../doctor/check.ts";
import { runDoctor } from "../doctor/doctor.ts";
import { type ConsoleChunk, type ProbeOutput, parseProbeOutput } from "../doctor/probe-output.ts";
import type { DoctorReport, Finding } from "../doctor/report.ts";
import type { Host } from "../host/host.ts";
import { firecrackerFor, jailerFor } from "../setup/candidates.ts";
import { directoryProblems, examineBinary } from "../setup/examine.ts";
import { supportOf } from "../setup/version.ts";
import { integrityProblems } from "../store/integrity.ts";
import { generateVmId } from "../vm/id.ts";
import { versionReader } from "./binaries.ts";
import { lookForBinaries } from "./install.ts";
import { poolConflict } from "./network-plan.ts";
import { openThisMachine } from "./this-machine.ts";
import { Warder } from "./warder.ts";

/** How a host is examined. */
export interface ExamineOptions {
  readonly signal: AbortSignal;
  /** Jail and run the built-in guest too. */
  readonly probe: boolean;
  readonly onFinding?: (finding: Finding) => void;
}

/** Examines this host, as it is configured: what `warder doctor` does. Leaves nothing behind. */
export async function examineHost(overrides: ConfigOverrides, options: ExamineOptions): Promise<DoctorReport> {
  const machine = openThisMachine(overrides);
  const { host, config } = machine;
  const { architecture, readVersion } = versionReader(host);
  const deps: DoctorDeps = {
    examineBinary: (path) => examineBinary(host, path, architecture),
    readVersion,
    supportOf,
    directoryProblems: (directory) => directoryProblems(host, directory),
    conflictingRoute: () => poolConflict(host, config),
    cgroups: doctorCgroups(host, detectCgroups(host), config),
    stateProblems: () => stateProblems(host, config),
    ...(options.probe ? { runProbe: (signal: AbortSignal) => runProbe(host, overrides, signal) } : {}),
  };
  const settings = { ...pickSettings(config), ...(await pairToExamine(host, config, options.signal)) };
  return runDoctor(host, settings, deps, options);
}

function pickSettings({ chrootBase, stateDir, uidRange, jail }: Config): DoctorSettings {
  return { chrootBase, stateDir, uidRange, ...(jail.uid === undefined ? {} : { jailUid: jail.uid }) };
}

/** A pair that was named is examined whatever is wrong with it, which is what the doctor is asked for. */
async function pairToExamine(
  host: Host,
  config: Config,
  signal: AbortSignal,
): Promise<Pick<DoctorSettings, "firecracker" | "jailer">> {
  const { firecracker, jailer } = config;
  if (firecracker === undefined && jailer === undefined) {
    const found = await lookForBinaries({ host, config }, signal);
    return found.source === undefined ? {} : { firecracker: found.firecracker, jailer: found.jailer };
  }
  const first = firecracker ?? (jailer === undefined ? undefined : firecrackerFor(host, jailer));
  const second = jailer ?? (firecracker === undefined ? undefined : jailerFor(host, firecracker));
  return {
    ...(first === undefined ? {} : { firecracker: first }),
    ...(second === undefined ? {} : { jailer: second }),
  };
}

function doctorCgroups(host: Host, cgroups: CgroupHost, { parentCgroup, cgroupVersion }: Config): DoctorCgroups {
  return {
    choose: (controllers) => chooseVersion(cgroups, controllers, cgroupVersion),
    mounts(version, controllers) {
      const hierarchies =
        version === 2 ? [cgroups.v2] : controllers.map((each) => v1HierarchyOf(cgroups, v1Name(each)));
      return [...new Set(hierarchies.flatMap((each) => (each === undefined ? [] : [each.directory])))];
    },
    checkParent(version, controllers) {
      const id = generateVmId(host.clock.nowNanoseconds());
      ensureParent(host, placeVm(cgroups, version, parentCgroup, id, controllers), controllers);
    },
  };
}

function stateProblems(host: Host, { stateDir }: Config): string[] | undefined {
  const path = `${stateDir}/state.db`;
  return host.files.inspectFollowing(path) === undefined ? undefined : integrityProblems(path);
}

/** A VM's whole life, in the strictest way there is. */
async function runProbe(host: Host, overrides: ConfigOverrides, signal: AbortSignal): Promise<ProbeOutput> {
  const chunks: ConsoleChunk[] = [];
  const decoder = new TextDecoder();
  const onConsole = (chunk: Uint8Array) =>
    void chunks.push({ text: decoder.decode(chunk, { stream: true }), atMs: host.clock.monotonic() });
  const silent = { warn: () => undefined, note: () => undefined };
  await using warder = await Warder.open({ role: "visitor", ...overrides, reporter: silent });
  await using vm = await warder.run({ kernel: "probe", policy: "strict" }, { signal, onConsole });
  await vm.wait({ signal });
  return parseProbeOutput(chunks);
}
