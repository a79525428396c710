import type { HostPath, JailPath } from "../vm/path.ts";
import type { LogLevel } from "./models.ts";

/** A path as Firecracker sees it: inside its jail, or the host's where it runs without one. */
type InnerPath = JailPath | HostPath;

/** What Firecracker is told on its command line. What is absent is not passed. */
export interface FirecrackerArguments {
  readonly apiSocket: InnerPath;
  /** JSON of {@link configDocument}. It is read before the API socket is bound: a FIFO holds the process until then. */
  readonly configFile?: InnerPath;
  /**
   * File or FIFO for the log, which must be there before 1.14. Without it the log goes to standard output, where a
   * reader that goes away stops the whole process up to 1.16 (reference: jailer, trap 8).
   */
  readonly logPath?: InnerPath;
  readonly metricsPath?: InnerPath;
  /** Default `Info`, which is where the reason of an exit is logged. */
  readonly level?: LogLevel;
  /** Writes the level into each log line. */
  readonly showLevel?: boolean;
  /** Writes source file and line into each log line. */
  readonly showLogOrigin?: boolean;
  /** Needs 1.13. */
  readonly enablePci?: boolean;
  /** Logs how long the guest took to boot, if it says when it has. */
  readonly bootTimer?: boolean;
  /** JSON with which the metadata store begins. It is read after the configuration. */
  readonly metadataFile?: InnerPath;
  /** Most bytes of a request's body; Firecracker's default is 51200. */
  readonly httpMaxPayloadBytes?: number;
  /** Most bytes of the metadata store; Firecracker's default is that of a request. */
  readonly mmdsLimitBytes?: number;
  /** A compiled filter instead of the built-in one. There is no way here to run without any. */
  readonly seccompFilter?: InnerPath;
}

/**
 * Firecracker's command line: what stands behind the jailer's `--`. The jailer itself passes `--id`, which must not be
 * there twice; whoever starts Firecracker without it puts `--id` before.
 */
export function firecrackerArgs(wanted: FirecrackerArguments): string[] {
  return [
    ...["--api-sock", wanted.apiSocket],
    ...option("--config-file", wanted.configFile),
    ...option("--log-path", wanted.logPath),
    ...["--level", wanted.level ?? "Info"],
    ...flag("--show-level", wanted.showLevel),
    ...flag("--show-log-origin", wanted.showLogOrigin),
    ...option("--metrics-path", wanted.metricsPath),
    ...flag("--enable-pci", wanted.enablePci),
    ...flag("--boot-timer", wanted.bootTimer),
    ...option("--metadata", wanted.metadataFile),
    ...option("--http-api-max-payload-size", wanted.httpMaxPayloadBytes),
    ...option("--mmds-size-limit", wanted.mmdsLimitBytes),
    ...option("--seccomp-filter", wanted.seccompFilter),
  ];
}

function option(name: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [name, String(value)];
}

function flag(name: string, wanted: boolean | undefined): string[] {
  return wanted === true ? [name] : [];
}
