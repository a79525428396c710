import type { DoctorCode } from "./catalogue.ts";

/**
 * How a check came out.
 *
 * - `ok`: as it should be.
 * - `warning`: VMs can be jailed, but something is slower or weaker than it could be.
 * - `problem`: VMs can not be jailed.
 * - `skipped`: not asked for, or something that it needs is not there, which another finding says.
 */
export type FindingStatus = "ok" | "warning" | "problem" | "skipped";

/** What one check found. */
export interface Finding {
  readonly code: DoctorCode;
  readonly title: string;
  readonly status: FindingStatus;
  /** What is there, as a clause. */
  readonly found: string;
  /** What it means; only with a warning or a problem. */
  readonly cause?: string;
  /** What to do; only with a warning or a problem. */
  readonly cure?: string;
}

/** What `warder doctor` says of a host. */
export interface DoctorReport {
  /** No check found a problem: a VM can be jailed here. */
  readonly canJail: boolean;
  /** In the order of the catalogue. */
  readonly findings: readonly Finding[];
  readonly durationMs: number;
}

/** A check's own part of a finding. Cause and cure are the catalogue's where they are not given. */
export type Verdict = Pick<Finding, "status" | "found" | "cause" | "cure">;

export const ok = (found: string): Verdict => ({ status: "ok", found });
export const skipped = (found: string): Verdict => ({ status: "skipped", found });
export const warning = (found: string, own: Pick<Verdict, "cause" | "cure"> = {}): Verdict => ({
  status: "warning",
  found,
  ...own,
});
export const problem = (found: string, own: Pick<Verdict, "cause" | "cure"> = {}): Verdict => ({
  status: "problem",
  found,
  ...own,
});
