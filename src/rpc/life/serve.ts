import { notifySocketOf } from "../../config/ambient.ts";
import type { ConfigOverrides } from "../../config/config.ts";
import type { LoadedConfig } from "../../config/read.ts";
import { planReload } from "../../config/reload.ts";
import type { Config } from "../../config/values.ts";
import { collectGarbage } from "../../lifecycle/collect.ts";
import { examineHost } from "../../lifecycle/examine.ts";
import type { HealthMonitor } from "../../lifecycle/health-monitor.ts";
import { lookAtHost } from "../../lifecycle/host-health.ts";
import { getNetwork, listNetworks, removeSharedNetwork } from "../../lifecycle/network-admin.ts";
import { hostSource } from "../../lifecycle/sample.ts";
import { readSystem } from "../../lifecycle/system-info.ts";
import { openThisMachine, readMachineConfig } from "../../lifecycle/this-machine.ts";
import { Warder } from "../../lifecycle/warder.ts";
import { watchHealth } from "../../lifecycle/watch-health.ts";
import { createEndpoints, type Endpoints } from "../../observability/endpoints.ts";
import { Serving } from "../../observability/health/serving.ts";
import { type Observability, openObservability } from "../../observability/observability.ts";
import { isLive } from "../../vm/state.ts";
import { Daemon } from "../daemon.ts";
import { services } from "../gate/permissions.ts";
import { endVms } from "./end-vms.ts";
import { serviceManager } from "./notify.ts";
import type { DaemonSignals } from "./signals.ts";

/** How a daemon is run. */
export interface ServeOptions {
  /** Settings that go before all others. */
  readonly overrides: ConfigOverrides;
  /** Of Warder. */
  readonly version: string;
  readonly signals: DaemonSignals;
}

/**
 * Runs the daemon until it is told to end: takes over the VMs that are there, opens the doors, reads its settings again
 * at SIGHUP, and at SIGTERM lets go of VMs or ends them, as it is configured.
 *
 * @throws {@link WarderError} where it can not start: nothing is served then, and VMs that run go on.
 */
export async function serve({ overrides, version, signals }: ServeOptions): Promise<void> {
  const { host, loaded } = openThisMachine(overrides);
  const { config } = loaded;
  await using observability = await openObservability(observabilityOptions(config, version));
  const { logger, observer, metrics } = observability;
  for (const notice of loaded.notices) logger.warn("a setting ought to be known", { notice });
  const manager = serviceManager(host, notifySocketOf(), logger.warn);
  await using warder = await Warder.open({ ...overrides, reporter: logger, observer });
  await using health = watchHealth(warder.machinery, config.health);
  metrics.measure(hostSource(warder.machinery, (id) => health.isHealthy(id)));
  const serving = new Serving(services.map(({ typeName }) => typeName));
  const startedAt = host.clock.now();
  await using daemon = await Daemon.open(
    {
      config,
      warder,
      serving,
      beginRequest: observability.beginRequest,
      endpoints: endpointsOf({ warder, health, serving, observability, config, version, startedAt }),
      machine: {
        version,
        hostname: readSystem(host).hostname ?? "unknown",
        stateDir: config.stateDir,
        chrootBase: config.chrootBase,
        startedAt,
        examine: (options) => examineHost(overrides, options),
        collect: (options) => collectGarbage(warder.machinery, options),
        networks: {
          list: () => listNetworks(warder.machinery),
          get: (name) => getNetwork(warder.machinery, name),
          remove: (name, signal) => removeSharedNetwork(warder.machinery, name, signal),
        },
      },
      onDefect: (error) => logger.failure("a request could not be served", error),
    },
    signals.end,
  );
  let inForce = loaded;
  signals.onHangUp(async () => {
    await manager.reloading();
    inForce = await reread(inForce, { daemon, observability, overrides, warder, signal: signals.end });
    await manager.ready(statusOf(daemon));
  });
  serving.set("ready");
  logger.info("warder serves", { version, addresses: daemon.addresses, pid: process.pid });
  await manager.ready(statusOf(daemon));
  await fired(signals.end);
  await end({ daemon, warder, config: () => inForce.config, observability, signals, manager });
}

interface EndParts {
  readonly daemon: Daemon;
  readonly warder: Warder;
  readonly config: () => Config;
  readonly observability: Observability;
  readonly signals: DaemonSignals;
  readonly manager: ReturnType<typeof serviceManager>;
}

/** In order: requests first, as they may be about VMs; then VMs, where they are to end. */
async function end({ daemon, warder, config, observability, signals, manager }: EndParts): Promise<void> {
  const { shutdown } = config();
  const { logger } = observability;
  logger.info("warder ends", { vms: shutdown.vms, drain_timeout_ms: shutdown.drainTimeoutMs });
  await manager.stopping("letting requests end");
  await daemon.drain(AbortSignal.any([AbortSignal.timeout(shutdown.drainTimeoutMs), signals.endNow]));
  if (shutdown.vms === "stop") await endVms(warder, logger, signals.endNow);
}

interface EndpointParts {
  readonly warder: Warder;
  readonly health: HealthMonitor;
  readonly serving: Serving;
  readonly observability: Observability;
  readonly config: Config;
  readonly version: string;
  readonly startedAt: number;
}

function endpointsOf(parts: EndpointParts): Endpoints {
  const { warder, health, serving, observability, config, version, startedAt } = parts;
  const { machinery } = warder;
  return createEndpoints({
    serving,
    ...(config.metrics.enabled ? { metrics: observability.metrics } : {}),
    lookAtHost: () => lookAtHost(machinery),
    facts: () => {
      const live = machinery.store.list().filter(({ state }) => isLive(state));
      return {
        version,
        uptimeMs: machinery.host.clock.now() - startedAt,
        architecture: process.arch,
        vms: { running: live.length, unhealthy: live.filter(({ id }) => health.isHealthy(id) === false).length },
      };
    },
  });
}

interface RereadParts {
  readonly daemon: Daemon;
  readonly observability: Observability;
  readonly overrides: ConfigOverrides;
  readonly warder: Warder;
  readonly signal: AbortSignal;
}

/** Settings that are wrong change nothing: what is in force goes on, and the log says what is wrong. */
async function reread(inForce: LoadedConfig, parts: RereadParts): Promise<LoadedConfig> {
  const { daemon, observability, overrides, warder, signal } = parts;
  const { logger } = observability;
  try {
    const plan = planReload(inForce, readMachineConfig(warder.machinery.host, overrides));
    await daemon.reload(plan.inForce.config, signal);
    observability.setLogLevel(plan.inForce.config.logLevel);
    observability.reopenLog();
    logger.info("settings were read again", { applied: plan.applied, waiting_for_restart: plan.waiting });
    return plan.inForce;
  } catch (error) {
    logger.failure("settings were not changed", error);
    return inForce;
  }
}

function observabilityOptions(config: Config, version: string): Parameters<typeof openObservability>[0] {
  const { tracing, metrics, logLevel, logFormat } = config;
  const { endpoint, headers, serviceName, serviceVersion = version, samplingRatio } = tracing;
  return {
    version,
    log: { level: logLevel, target: "stdout", format: logFormat },
    perVmMetrics: metrics.perVm,
    ...(tracing.enabled ? { tracing: { endpoint, headers, serviceName, serviceVersion, samplingRatio } } : {}),
  };
}

function statusOf({ addresses }: Daemon): string {
  return `listening on ${addresses.join(", ")}`;
}

async function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
