import type { ConfigOverrides } from "../config/config.ts";
import { isWarderError, WarderError, type WarderErrorFacts } from "../vm/error.ts";
import { type ErrorCode, errorCodes } from "../vm/error-codes.ts";
import type { VmSpecInput } from "../vm/spec.ts";
import type { VmView } from "../vm/view.ts";

/** What the monitor begins with: a new VM, a start of one that is there, or one that runs, or is to be started again. */
export type MonitorJob =
  | { readonly kind: "run"; readonly spec: VmSpecInput; readonly idempotencyKey?: string }
  | { readonly kind: "start"; readonly id: string; readonly idempotencyKey?: string }
  | { readonly kind: "look-after"; readonly id: string };

/** What a command hands to the monitor on its standard input, as JSON. */
export interface MonitorTask {
  readonly job: MonitorJob;
  /** Every setting: the monitor has no environment. */
  readonly overrides: ConfigOverrides;
  /** Forget the VM when it has ended. */
  readonly forget: boolean;
}

/** A warning that came up while the VM was started. */
export interface MonitorWarning {
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** What the monitor says on its standard output, as one line of JSON, once the VM runs or can not. */
export type MonitorAnswer = { readonly warnings: readonly MonitorWarning[] } & (
  | { readonly view: VmView }
  | { readonly error: Readonly<Record<string, unknown>> }
);

/** Makes an error again of what {@link WarderError.toJSON} made of it. */
export function reviveError(document: Readonly<Record<string, unknown>>, cause?: unknown): WarderError {
  const { code, doing, why, cure, fields, cleanup } = document as Partial<WarderErrorFacts> & { code?: string };
  const isKnown = code !== undefined && Object.hasOwn(errorCodes, code);
  return new WarderError(isKnown ? (code as ErrorCode) : "internal", {
    doing: doing ?? "starting a VM in the background",
    why: why ?? "its monitor did not say",
    ...(cure === undefined ? {} : { cure }),
    ...(fields === undefined ? {} : { fields }),
    ...(cleanup === undefined ? {} : { cleanup }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The document of an error, for the other side. */
export function toErrorDocument(error: unknown): Record<string, unknown> {
  return (
    isWarderError(error) ? error : WarderError.from(error, "internal", "starting a VM in the background")
  ).toJSON();
}
