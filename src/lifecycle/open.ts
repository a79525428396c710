import { detectCgroups } from "../cgroup/detect.ts";
import type { Config } from "../config/config.ts";
import type { Host } from "../host/host.ts";
import { ensureBase } from "../jailer/jail.ts";
import { removeAbandonedFifos, SpareFifos } from "../jailer/spare-fifos.ts";
import { blindObserver, type Observer } from "../observability/observer.ts";
import { builtInGuest } from "../setup/guests.ts";
import type { Store } from "../store/store.ts";
import { WarderError } from "../vm/error.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import { rememberBinaries } from "./binaries.ts";
import { removeAbandonedDrafts } from "./drafts.ts";
import { gracePeriodAsker } from "./grace-period.ts";
import type { Machinery } from "./machinery.ts";
import { becomeManager, type Role } from "./manager-lock.ts";
import { Meters } from "./meters.ts";
import { Mirror } from "./mirror.ts";
import { Quarantine } from "./quarantine.ts";
import { openStore } from "./rebuild.ts";
import { tellChanges } from "./tell-changes.ts";
import { VsockBrokers } from "./vsock-brokers.ts";

/** Where an open host tells what an operator should know. */
export interface Reporter {
  readonly warn: Machinery["warn"];
  readonly note: Machinery["note"];
}

/** How a host is opened. */
export interface OpenOptions {
  readonly role: Role;
  readonly reporter: Reporter;
  readonly observer?: Observer | undefined;
}

/**
 * The composition root: opens the rooms that VMs are made with, on a host, as configured. Makes the state directory and
 * the directory of jails where they are not there.
 *
 * @throws {@link WarderError} `permission-denied`, `state-locked`, `store-failed`, `chroot-base-unusable`.
 */
export async function openMachinery(host: Host, config: Config, how: OpenOptions): Promise<Machinery> {
  const stateDir = prepareDirectory(host, config.stateDir, 0o700, "WARDER_STATE_DIR");
  prepareDirectory(host, toHostPath(`${stateDir}/vms`), 0o700, "WARDER_STATE_DIR");
  const chrootBase = prepareDirectory(host, config.chrootBase, 0o755, "WARDER_CHROOT_BASE");
  const opened = new DisposableStack();
  try {
    if (how.role === "manager") {
      opened.use(becomeManager(host, stateDir));
      removeAbandonedDrafts(host, stateDir, chrootBase);
    }
    const { warn } = how.reporter;
    const settings = { ...config, stateDir, chrootBase };
    const store = opened.use(await openStore(host, settings, (message, details) => warn(message, details)));
    opened.use(new Mirror(host, store, stateDir, (message, details) => warn(message, details)));
    await prepareBase(host, chrootBase);
    const machinery = assemble(host, settings, how, store);
    return { ...machinery, opened: opened.move() };
  } catch (error) {
    opened.dispose();
    throw error;
  }
}

async function prepareBase(host: Host, chrootBase: HostPath): Promise<void> {
  if (host.processes.effectiveUid !== 0) return;
  try {
    await removeAbandonedFifos(host, chrootBase);
    await ensureBase(host, chrootBase);
  } catch (error) {
    throw WarderError.from(error, "chroot-base-unusable", `preparing the directory of jails ${chrootBase}`);
  }
}

function assemble(host: Host, config: Config, how: OpenOptions, store: Store): Omit<Machinery, "opened"> {
  const { reporter, observer = blindObserver } = how;
  const { chrootBase } = config;
  tellChanges(store, observer);
  const spareFifos = new SpareFifos(host, chrootBase);
  const cgroups = detectCgroups(host);
  return {
    host,
    store,
    settings: config,
    cgroups,
    spareFifos,
    quarantine: new Quarantine(host, store, chrootBase),
    askForGracePeriod: gracePeriodAsker(host, cgroups),
    binaries: rememberBinaries(host, config),
    probeKernel: builtInGuest("probe"),
    meters: new Meters(() => host.clock.monotonic()),
    vsock: new VsockBrokers(host, (message, details) => reporter.warn(message, details)),
    observer,
    warn: (message, details) => reporter.warn(message, details),
    note: (message, details) => reporter.note(message, details),
  };
}

/** Gives back what {@link openMachinery} took. VMs go on. */
export async function closeMachinery(machinery: Machinery): Promise<void> {
  await machinery.quarantine[Symbol.asyncDispose]();
  await machinery.spareFifos[Symbol.asyncDispose]();
  machinery.host.processes.endSpawning();
  // The store before the lock: who becomes the manager next has it for itself.
  machinery.opened.dispose();
}

function prepareDirectory(host: Host, path: HostPath, mode: number, setting: string): HostPath {
  try {
    makeWithParents(host, path, mode);
    return host.files.resolve(path);
  } catch (cause) {
    const error = WarderError.from(cause, "internal", `making the directory ${path}`);
    throw new WarderError(error.code, {
      doing: error.doing,
      why: error.why,
      cure: `Run as root, or set ${setting} to a directory of your own`,
      cause,
    });
  }
}

function makeWithParents(host: Host, path: string, mode: number): void {
  if (host.files.inspectFollowing(path)?.kind === "directory") return;
  const parent = path.slice(0, path.lastIndexOf("/"));
  if (parent !== "") makeWithParents(host, parent, 0o755);
  host.files.ensureDirectory(path, { mode });
}
