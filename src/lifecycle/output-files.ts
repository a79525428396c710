import type { BoundedFile, Host } from "../host/host.ts";
import type { VmId } from "../vm/id.ts";
import type { OutputViews } from "../vm/output.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import type { LifecycleSettings, Machinery } from "./machinery.ts";

/** Firecracker writes one JSON line of metrics a minute: the newest few are enough. */
const METRICS_LIMIT_BYTES = 256 * 1024;

/** Where the output of a VM is kept, before and after its end. */
export function outputPaths(
  settings: LifecycleSettings,
  id: VmId,
): Record<"directory" | "console" | "log" | "metrics", HostPath> {
  const directory = `${settings.stateDir}/vms/${id}`;
  const at = (name: string) => toHostPath(`${directory}/${name}`);
  return { directory: toHostPath(directory), console: at("console"), log: at("log"), metrics: at("metrics") };
}

/** The bounded files of a VM's output. Made with their first bytes. */
export function outputFiles(machinery: Machinery, id: VmId): Record<"console" | "log" | "metrics", BoundedFile> {
  const { host, settings } = machinery;
  const paths = outputPaths(settings, id);
  host.files.ensureDirectory(paths.directory, { mode: 0o750 });
  return {
    console: host.files.openBounded(paths.console, settings.consoleLimitBytes),
    log: host.files.openBounded(paths.log, settings.logLimitBytes),
    metrics: host.files.openBounded(paths.metrics, METRICS_LIMIT_BYTES),
  };
}

/** What is kept of a VM's output, and what was lost of it. */
export function viewOutput({ host, settings }: Pick<Machinery, "host" | "settings">, id: VmId): OutputViews {
  const paths = outputPaths(settings, id);
  return {
    console: { limitBytes: settings.consoleLimitBytes, ...host.files.lossesOf(paths.console) },
    log: { limitBytes: settings.logLimitBytes, ...host.files.lossesOf(paths.log) },
  };
}

/** As much of the newest output tells why a VM ended. */
const TAIL_BYTES = 8 * 1024;

/** The end of the kept output of a VM, as text; empty where there is none. Untrusted. */
export function readTail(host: Host, settings: LifecycleSettings, id: VmId, kind: "console" | "log"): string {
  const path = outputPaths(settings, id)[kind];
  const newest = host.files.inspect(path);
  if (newest?.kind !== "file") return "";
  const reader = host.files.openReader(path);
  try {
    return Buffer.from(reader.read(Math.max(0, newest.size - TAIL_BYTES), TAIL_BYTES)).toString("utf8");
  } finally {
    reader.close();
  }
}
