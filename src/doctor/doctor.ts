import type { Clock, Host } from "../host/host.ts";
import { isWarderError, messageOf, WarderError } from "../vm/error.ts";
import { doctorCatalogue, doctorCodes } from "./catalogue.ts";
import type { Check, CheckContext, DoctorDeps, DoctorSettings } from "./check.ts";
import { binaryChecks } from "./checks/binaries.ts";
import { cgroupChecks } from "./checks/cgroup.ts";
import { chrootChecks } from "./checks/chroot.ts";
import { hardeningChecks } from "./checks/hardening.ts";
import { hostChecks } from "./checks/host.ts";
import { identityChecks } from "./checks/identity.ts";
import { kvmChecks, PROBE_DEADLINE_MS } from "./checks/kvm.ts";
import { networkChecks } from "./checks/network.ts";
import { stateChecks } from "./checks/state.ts";
import type { DoctorReport, Finding, Verdict } from "./report.ts";

/** How to run the doctor. */
export interface DoctorOptions {
  readonly signal: AbortSignal;
  /** Called with each finding as it is made, in no order. */
  readonly onFinding?: (finding: Finding) => void;
  /** Default: all. */
  readonly checks?: readonly Check[];
}

/** Every check there is. */
export const allChecks: readonly Check[] = Object.freeze([
  ...hostChecks,
  ...kvmChecks,
  ...binaryChecks,
  ...cgroupChecks,
  ...chrootChecks,
  ...identityChecks,
  ...stateChecks,
  ...networkChecks,
  ...hardeningChecks,
]);

const DEADLINE_MS = 10_000;
/** What an overdue check gets for tidying up before it is left to itself. */
const GRACE_MS = 2_000;

/**
 * Examines a host: all checks at once, each with a deadline of its own. A check that fails is a finding like any other.
 * Nothing is changed, and what is made to try things is removed.
 *
 * @throws {@link WarderError} `aborted` where the caller gave up, and nothing else.
 */
export async function runDoctor(
  host: Host,
  settings: DoctorSettings,
  deps: DoctorDeps,
  options: DoctorOptions,
): Promise<DoctorReport> {
  const startedAt = host.clock.monotonic();
  const probe = sharedProbe(host.clock, deps, options.signal);
  const examine = async (check: Check): Promise<Finding> => {
    const finding = toFinding(check, await conclude(check, { host, settings, deps, probe, signal: options.signal }));
    options.onFinding?.(finding);
    return finding;
  };
  const findings = await Promise.all((options.checks ?? allChecks).map(examine));
  if (options.signal.aborted) throw WarderError.from(options.signal.reason, "aborted", "examining this host");
  return Object.freeze({
    canJail: findings.every(({ status }) => status !== "problem"),
    findings: findings.toSorted((left, right) => doctorCodes.indexOf(left.code) - doctorCodes.indexOf(right.code)),
    durationMs: host.clock.monotonic() - startedAt,
  });
}

/** The guest is run once, however many checks look at it, and not before the first of them does. */
function sharedProbe(clock: Clock, { runProbe }: DoctorDeps, signal: AbortSignal): CheckContext["probe"] {
  if (runProbe === undefined) return undefined;
  let running: ReturnType<typeof runProbe> | undefined;
  return () => (running ??= withinDeadline(clock, PROBE_DEADLINE_MS, signal, (limited) => runProbe(limited)));
}

/** The check's verdict; where it fails or takes too long, that is the verdict. */
async function conclude(check: Check, context: CheckContext): Promise<Verdict> {
  try {
    const deadlineMs = check.deadlineMs ?? DEADLINE_MS;
    return await withinDeadline(context.host.clock, deadlineMs, context.signal, async (signal) =>
      check.run({ ...context, signal }),
    );
  } catch (error) {
    const status = doctorCatalogue[check.code].essential ? "problem" : "warning";
    const own = isWarderError(error) && error.cure !== undefined ? { cure: `${error.cure}.` } : {};
    return { status, found: `it could not be checked: ${messageOf(error)}`, ...own };
  }
}

function toFinding({ code }: Check, verdict: Verdict): Finding {
  const { title, cause, cure } = doctorCatalogue[code];
  const explained = verdict.status === "warning" || verdict.status === "problem";
  return Object.freeze({ code, title, ...(explained ? { cause, cure } : {}), ...verdict });
}

/**
 * Runs work with a signal that fires after a while, or with the outer one. Work that takes no notice of it is left to
 * itself after a moment of grace.
 */
async function withinDeadline<T>(
  clock: Clock,
  deadlineMs: number,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const done = new AbortController();
  const late = new AbortController();
  const inner = AbortSignal.any([outer, late.signal]);
  const watch = async (): Promise<never> => {
    await Promise.race([clock.sleep(deadlineMs, done.signal), fired(outer)]);
    late.abort(
      new WarderError("deadline-exceeded", { doing: "checking", why: `it took longer than ${deadlineMs} ms` }),
    );
    await clock.sleep(GRACE_MS, done.signal);
    throw inner.reason;
  };
  try {
    return await Promise.race([work(inner), watch()]);
  } catch (error) {
    // Whatever the work made of being stopped, this is why.
    inner.throwIfAborted();
    throw error;
  } finally {
    done.abort();
  }
}

function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
