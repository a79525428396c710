/**
 * Warder: the host manager for jailed Firecracker microVMs.
 *
 * {@link Warder} is the host; {@link startFirecracker} and its kin are the small API for one VM at a time.
 *
 * @module
 */

export type { Reporter } from "./lifecycle/open.ts";
export type { LimitedDevice } from "./lifecycle/rate-limits.ts";
export {
  type Cancellable,
  type PauseOptions,
  type Retryable,
  type StopOptions as VmStopOptions,
  Vm,
} from "./lifecycle/vm.ts";
export type { VmMetadata } from "./lifecycle/vm-metadata.ts";
export type { VmVsock } from "./lifecycle/vm-vsock.ts";
export { type RunOptions, Warder, type WarderOptions, type WatchOptions } from "./lifecycle/warder.ts";
export type { AdoptionResult, Happening, Observer, Work } from "./observability/observer.ts";
export {
  FirecrackerProcess,
  isVmRunning,
  type StartFirecrackerOptions,
  type StopOptions,
  startFirecracker,
  stopFirecracker,
} from "./simple/firecracker-process.ts";
export { apiSocketPath, buildJailerArgs } from "./simple/jailer-args.ts";
export { jailerAvailable } from "./simple/jailer-available.ts";
export { defaultJailerConfig, type JailerConfig, jailerConfig, validateJailerConfig } from "./simple/jailer-config.ts";
export { JailerProcess, startWithJailer } from "./simple/jailer-process.ts";
export type { CallOptions } from "./simple/running-vm.ts";
export { SandboxedProcess } from "./simple/sandboxed-process.ts";
export type { StartWithJailerOptions } from "./simple/start.ts";
export {
  defaultVmConfig,
  type SandboxOverrides,
  toJailerConfig,
  type VmConfig,
  validateVmConfig,
  vmConfig,
} from "./simple/vm-config.ts";
export type { VmChange } from "./vm/change.ts";
export { type FieldProblem, isWarderError, WarderError } from "./vm/error.ts";
export { type ErrorCode, errorCodes } from "./vm/error-codes.ts";
export type { ExitCause, VmExit } from "./vm/exit.ts";
export type { VmId } from "./vm/id.ts";
export {
  type Control,
  INSECURE_WARNING,
  type IsolationLevel,
  type IsolationPolicy,
  type IsolationReport,
} from "./vm/isolation.ts";
export type { IoLimit, Limits } from "./vm/limits.ts";
export type { Json, JsonObject, MetadataSpec } from "./vm/metadata.ts";
export type { Bandwidth, Operations, RateLimit } from "./vm/rate-limit.ts";
export type { PastRun } from "./vm/record.ts";
export { defaultRestart, isFailure, type RestartPolicy } from "./vm/restart.ts";
export {
  defaultShutdownLadder,
  killLadder,
  type ShutdownLadder,
  type ShutdownMethod,
  type ShutdownOutcome,
  type ShutdownRung,
} from "./vm/shutdown.ts";
export { defaultLimits, type VmSpec, type VmSpecInput } from "./vm/spec.ts";
export type { VmState, VmStateOrRemoved } from "./vm/state.ts";
export type { RestartView, VmView } from "./vm/view.ts";
export { defaultVsockLimits, type VsockLimits, type VsockPortLimits, type VsockSpec } from "./vm/vsock.ts";
export type { ConnectOptions, OnConnection, VsockListening } from "./vsock/access.ts";
export type { VsockStatistics } from "./vsock/broker.ts";
