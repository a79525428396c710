import type { Host } from "../host/host.ts";
import { openThisMachine } from "../lifecycle/this-machine.ts";
import { isWarderError } from "../vm/error.ts";
import type { HostPath } from "../vm/path.ts";
import { DEFAULT_JAILER, type JailerConfig } from "./jailer-config.ts";

/**
 * Whether a jailer is installed: on `PATH`, as `which` looks, or in a directory of system programs such as
 * `/usr/local/bin`. Never throws.
 *
 * Security: installed is not isolated. What a VM is isolated by is read back from the kernel once it has started: see
 * {@link JailerProcess.isolation}.
 *
 * @example
 * if (!jailerAvailable()) console.warn("VMs will run without a sandbox");
 */
export function jailerAvailable(): boolean {
  try {
    return openThisMachine().host.commands.find("jailer") !== undefined;
  } catch (error) {
    // Warder is configured wrongly: no VM starts at all then, jailed or not, and the start says why.
    if (isWarderError(error)) return false;
    throw error;
  }
}

/** The jailer that a configuration means; `undefined` where it is not installed. */
export function findJailer({ jailerBinary }: JailerConfig, host: Host = openThisMachine().host): HostPath | undefined {
  const named = host.commands.find(jailerBinary);
  return named === undefined && jailerBinary === DEFAULT_JAILER ? host.commands.find("jailer") : named;
}
