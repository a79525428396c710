import type { Host } from "../host/host.ts";
import {
  type Control,
  type ControlPhase,
  type IsolationPolicy,
  type IsolationReport,
  judgeIsolation,
} from "../vm/isolation.ts";
import type { ProcessIdentity } from "../vm/process.ts";
import { type Claim, type Comparison, compare } from "./claim.ts";
import { cgroupClaims } from "./claims-cgroup.ts";
import { descriptorsClaim } from "./claims-descriptors.ts";
import { jailClaims } from "./claims-jail.ts";
import { credentialClaims, filterClaims, startClaims } from "./claims-process.ts";
import type { KernelView } from "./facts.ts";
import { readHeld, readRunning } from "./read.ts";
import type { WantedIsolation } from "./wanted.ts";

/** What one phase's reading came to. */
export interface PhaseProof extends Comparison {
  readonly phase: ControlPhase;
  /** The process ended before all was read; `unread` says what is missing. */
  readonly vanished: boolean;
}

/**
 * The held phase: reads and compares everything that the jailer is to have done, while Firecracker waits for its
 * configuration. A control that is not ok means: do not send the configuration, unless the policy is `degrade`.
 */
export function proveHeld(host: Host, process: ProcessIdentity, wanted: WantedIsolation): PhaseProof {
  return toProof(readHeld(host, process, wanted), (view) => compareHeld(wanted, view));
}

/** The running phase: reads and compares what exists only with the guest running, and what may have changed since. */
export function proveRunning(host: Host, process: ProcessIdentity, wanted: WantedIsolation): PhaseProof {
  return toProof(readRunning(host, process, wanted), (view) => compareRunning(wanted, view));
}

/** A proof with controls of another room beside its own. */
export function withControls(proof: PhaseProof, controls: readonly Control[]): PhaseProof {
  return Object.freeze({ ...proof, controls: [...proof.controls, ...controls] });
}

/** Compares a view of the held phase with what was asked for. Pure. */
export function compareHeld(wanted: WantedIsolation, view: KernelView): Comparison {
  return compare(claimsOf(wanted, "held"), view);
}

/** Compares a view of the running phase with what was asked for. Pure. */
export function compareRunning(wanted: WantedIsolation, view: KernelView): Comparison {
  return compare(claimsOf(wanted, "running"), view);
}

/** Every control that a phase proves, in the order of the report. */
export function controlNames(wanted: WantedIsolation, phase: ControlPhase): string[] {
  return claimsOf(wanted, phase).map((claim) => claim.name);
}

/**
 * The report of a VM out of the proofs of its phases. A phase without a proof counts as unread, control by control:
 * what was never looked at is not proven.
 */
export function reportIsolation(
  policy: IsolationPolicy,
  wanted: WantedIsolation,
  proofs: { readonly held?: PhaseProof; readonly running?: PhaseProof },
): IsolationReport {
  const controls: Control[] = [];
  const unread: string[] = [];
  for (const phase of ["held", "running"] as const) {
    const proof = proofs[phase];
    controls.push(...(proof?.controls ?? []));
    unread.push(...(proof?.unread ?? controlNames(wanted, phase)).map((name) => `${name} (${phase})`));
  }
  const isWaiting = wanted.apiOnly === true && proofs.running === undefined;
  const report = judgeIsolation(policy, controls, unread, isWaiting ? "the guest was not started yet" : undefined);
  return wanted.jail === undefined ? Object.freeze({ ...report, level: "unjailed" }) : report;
}

function claimsOf(wanted: WantedIsolation, phase: ControlPhase): Claim[] {
  const both = [...credentialClaims(wanted), ...cgroupClaims(wanted), descriptorsClaim(wanted, phase)];
  if (phase === "running") return [...filterClaims(wanted), ...both];
  return [...jailClaims(wanted), ...both, ...startClaims(wanted)];
}

function toProof(view: KernelView, compareView: (view: KernelView) => Comparison): PhaseProof {
  return Object.freeze({ phase: view.phase, vanished: view.vanished, ...compareView(view) });
}
