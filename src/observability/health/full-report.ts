import type { HostHealth, HostLook } from "./host-health.ts";

/** What else the report tells. */
export interface ReportFacts {
  /** Of Warder. */
  readonly version: string;
  /** How long the daemon has run. */
  readonly uptimeMs: number;
  /** Node's name of the architecture: `x64`, `arm64`. */
  readonly architecture: string;
  readonly vms: { readonly running: number; readonly unhealthy: number };
}

/** Node's names of architectures in Go's, which metald's report has. */
const architectures: Readonly<Record<string, string>> = { x64: "amd64" };

/**
 * The document of `GET /_/health`, in the shape that metald gives it, with `vms` added. Unlike metald's, `duration_ms`
 * is in milliseconds.
 */
export function fullReport(health: HostHealth, facts: ReportFacts): Record<string, unknown> {
  const backend = health.looks.backend_ping;
  return {
    status: health.status,
    timestamp: new Date(health.at).toISOString(),
    version: facts.version,
    backend: {
      type: "firecracker",
      status: backend?.isOk === true ? "healthy" : "unhealthy",
      ...(backend?.problem === undefined ? {} : { error: backend.problem }),
    },
    system: systemOf(health, facts),
    checks: Object.fromEntries(Object.entries(health.looks).map(([name, look]) => [name, checkOf(look)])),
    vms: facts.vms,
  };
}

function systemOf({ system }: HostHealth, facts: ReportFacts): Record<string, unknown> {
  const { totalBytes = 0, availableBytes = 0 } = system.memory ?? {};
  const usedBytes = totalBytes - availableBytes;
  return {
    hostname: system.hostname ?? "unknown",
    cpu: {
      architecture: architectures[facts.architecture] ?? facts.architecture,
      cores: system.cores,
      ...(system.cpuModel === undefined ? {} : { model: system.cpuModel }),
    },
    memory: {
      total_bytes: totalBytes,
      used_bytes: usedBytes,
      available_bytes: availableBytes,
      used_percent: totalBytes === 0 ? 0 : Math.round((usedBytes / totalBytes) * 10_000) / 100,
    },
    uptime: goDuration(facts.uptimeMs),
  };
}

function checkOf({ isOk, problem, durationMs, at }: HostLook): Record<string, unknown> {
  return {
    status: isOk ? "healthy" : "unhealthy",
    duration_ms: Math.round(durationMs * 1000) / 1000,
    ...(problem === undefined ? {} : { error: problem }),
    timestamp: new Date(at).toISOString(),
  };
}

/** A duration as Go prints it: `1h2m3.5s`. */
export function goDuration(milliseconds: number): string {
  const seconds = Math.round(milliseconds) / 1000;
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const rest = `${Number((seconds % 60).toFixed(3))}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}
