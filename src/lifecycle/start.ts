import { Deadline } from "../host/deadline.ts";
import { WarderError } from "../vm/error.ts";
import { isApiOnly, type VmSpec } from "../vm/spec.ts";
import { runSteps, type Step, type StepEvent, StepsFailed } from "./engine.ts";
import type { Machinery } from "./machinery.ts";
import { planStart } from "./plan.ts";
import type { StartContext } from "./start-context.ts";
import { announce } from "./steps/announce.ts";
import { answerForCgroups, applyCgroup } from "./steps/apply-cgroup.ts";
import { answer, boot } from "./steps/boot.ts";
import { buildJail } from "./steps/build-jail.ts";
import { buildNetwork } from "./steps/build-network.ts";
import { launchJailer } from "./steps/launch-jailer.ts";
import { openVsock } from "./steps/open-vsock.ts";
import { placeMetadata, takeMetadata } from "./steps/place-metadata.ts";
import { proveGuest, proveJail, reportJail } from "./steps/prove.ts";
import { reserve } from "./steps/reserve.ts";
import { stageAssets } from "./steps/stage-assets.ts";

/**
 * A start, from nothing to a proven VM. When a step fails, the steps before it are taken back in reverse: process,
 * cgroups, jail, record.
 */
export const startSteps: readonly Step<StartContext>[] = Object.freeze([
  reserve,
  buildJail,
  stageAssets,
  openVsock,
  placeMetadata,
  buildNetwork,
  answerForCgroups,
  launchJailer,
  applyCgroup,
  proveJail,
  boot,
  proveGuest,
  answer,
  takeMetadata,
  announce,
]);

/**
 * A start without a guest, from nothing to a proven jail in which Firecracker serves its API. The jail is proven at the
 * same point: Firecracker runs, and nothing untrusted does.
 */
export const apiOnlySteps: readonly Step<StartContext>[] = Object.freeze([
  reserve,
  buildJail,
  stageAssets,
  openVsock,
  placeMetadata,
  buildNetwork,
  answerForCgroups,
  launchJailer,
  applyCgroup,
  proveJail,
  reportJail,
  takeMetadata,
  announce,
]);

/** How a start is watched and given up. */
export interface StartOptions {
  readonly signal?: AbortSignal;
  readonly onConsole?: (chunk: Uint8Array) => void;
  readonly onStep?: (event: StepEvent) => void;
  /** Other steps, in tests only. */
  readonly steps?: readonly Step<StartContext>[];
}

/** What a start is of: a VM that was written down before, or one that is made by a call with an idempotency key. */
export type StartOrigin = Pick<StartContext, "renewal" | "idempotency">;

/**
 * Starts a VM. Either it runs, proven, or the host is as before; of a VM that was written down before, the record is
 * left `starting`, for its driver to say what has become of it.
 *
 * @throws {@link WarderError} of the step that failed, with what the clean-up could not do beside it.
 */
export async function startVm(
  machinery: Machinery,
  spec: VmSpec,
  options: StartOptions = {},
  origin: StartOrigin = {},
): Promise<StartContext> {
  const { clock } = machinery.host;
  const began = clock.monotonic();
  using timeout = new Deadline(spec.startTimeoutMs);
  const deadline = timeout.signal;
  const signal = options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline]);
  if (spec.jailed) machinery.askForGracePeriod();
  const plan = await planStart(machinery, spec, signal);
  const timings: Record<string, number> = { planMs: round(clock.monotonic() - began) };
  const context: StartContext = {
    machinery,
    plan,
    timings,
    letGo: new AbortController(),
    ...origin,
    ...(options.onConsole === undefined ? {} : { onConsole: options.onConsole }),
  };
  const onStep = (event: StepEvent) => {
    if (event.phase === "run") timings[`${camelCase(event.step)}Ms`] = round(event.durationMs);
    options.onStep?.(event);
  };
  try {
    const steps = options.steps ?? (isApiOnly(spec) ? apiOnlySteps : startSteps);
    await runSteps(steps, context, { clock, signal, onStep, observer: machinery.observer, vmId: plan.id });
  } catch (error) {
    throw toWarderError(error, spec, deadline, plan.id);
  }
  timings.totalMs = round(clock.monotonic() - began);
  return context;
}

function toWarderError(error: unknown, spec: VmSpec, deadline: AbortSignal, id: string): WarderError {
  if (!(error instanceof StepsFailed)) return WarderError.from(error, "internal", `starting ${id}`);
  const isLate = deadline.aborted && error.cause === deadline.reason;
  const first = isLate
    ? new WarderError("start-timeout", {
        doing: `starting ${id}`,
        why: `it was not ready within ${spec.startTimeoutMs} ms, in the step ${error.step}`,
        cause: error.cause,
      })
    : WarderError.from(error.cause, "internal", `starting ${id}, in the step ${error.step}`);
  return first.withCleanup(error.cleanup);
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}

function camelCase(step: string): string {
  return step.replaceAll(/-(.)/g, (_match, letter: string) => letter.toUpperCase());
}
