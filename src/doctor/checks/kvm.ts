import { messageOf } from "../../vm/error.ts";
import type { Check, CheckContext } from "../check.ts";
import { openError } from "../look.ts";
import { kvmSpeed, type ProbeOutput } from "../probe-output.ts";
import { ok, problem, skipped, type Verdict, warning } from "../report.ts";

const KVM_NUMBER = "10:232";
const NOT_ASKED_FOR = "not asked for: run `warder doctor --probe`";

/** A jail's whole life, on a machine where KVM emulates instructions, takes half a second. */
export const PROBE_DEADLINE_MS = 60_000;

/** Checks of KVM, by opening it and, where that is asked for, by running the built-in guest in a jail. */
export const kvmChecks: readonly Check[] = [
  { code: "kvm-device", run: checkKvmDevice },
  { code: "probe", deadlineMs: PROBE_DEADLINE_MS, run: checkProbe },
  { code: "kvm-speed", deadlineMs: PROBE_DEADLINE_MS, run: checkKvmSpeed },
];

function checkKvmDevice({ host }: CheckContext): Verdict {
  const path = `${host.roots.dev}/kvm`;
  const facts = host.files.inspectFollowing(path);
  if (facts === undefined) return problem(`${path} is not there`);
  if (facts.kind !== "character" || facts.deviceNumber !== KVM_NUMBER) return problem(`${path} is not KVM's device`);
  const error = openError(host, path);
  if (error === undefined) return ok(`${path} opens`);
  return problem(`${path} can not be opened: ${error}`, error === "EPERM" ? { cure: deviceRuleCure } : {});
}

/** EPERM, unlike EACCES, is the answer of a container's rules about devices. */
const deviceRuleCure = "Allow the device to this container: `--device /dev/kvm`, or DeviceAllow= in a systemd unit.";

async function checkProbe({ probe }: CheckContext): Promise<Verdict> {
  if (probe === undefined) return skipped(NOT_ASKED_FOR);
  const output = await settled(probe);
  if (typeof output === "string") return problem(output);
  if (output.complete && output.woke) return ok("it was jailed, ran, was woken by its timer, and ended by itself");
  if (output.complete)
    return warning("it ran and ended by itself, but no timer interrupt woke it", { cause: deafCause });
  return problem(output.up ? "it started, but did not come to its end" : "it printed nothing");
}

const deafCause = "This KVM delivers no timer interrupts to a halted guest, so Linux guests will not boot.";

async function checkKvmSpeed({ probe }: CheckContext): Promise<Verdict> {
  if (probe === undefined) return skipped(NOT_ASKED_FOR);
  const output = await settled(probe);
  if (typeof output === "string") return skipped(`the guest did not run: ${output}`);
  const speed = kvmSpeed(output);
  if (speed === "unknown") return skipped("the guest did not come so far as to be measured");
  const found = `${formatRate(output.instructionsPerSecond ?? 0)} guest instructions a second`;
  return speed === "fast" ? ok(found) : warning(found);
}

/** What the guest told, or why it could not be run. */
async function settled(probe: () => Promise<ProbeOutput>): Promise<ProbeOutput | string> {
  try {
    return await probe();
  } catch (error) {
    return messageOf(error);
  }
}

function formatRate(perSecond: number): string {
  const millions = perSecond / 1_000_000;
  return `${millions < 10 ? millions.toFixed(1) : Math.round(millions)} million`;
}
