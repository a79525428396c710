import type { FirecrackerClient } from "../firecracker/client.ts";
import type { PhaseProof } from "../isolation/prove.ts";
import type { FileIdentity, WantedIsolation } from "../isolation/wanted.ts";
import type { JailUser } from "../jailer/jail.ts";
import type { Launch } from "../jailer/launch.ts";
import type { Control, IsolationReport } from "../vm/isolation.ts";
import type { ProcessExit, ProcessIdentity } from "../vm/process.ts";
import type { VmRecord } from "../vm/record.ts";
import type { VmState } from "../vm/state.ts";
import type { Drain } from "./drain.ts";
import type { Idempotency } from "./idempotency.ts";
import type { Machinery } from "./machinery.ts";
import type { StartPlan } from "./plan.ts";

/** The readers of a VM's FIFOs. */
export interface Drains {
  readonly console: Drain;
  readonly log: Drain;
  readonly metrics: Drain;
}

/** Another run of a VM that is written down already. */
export interface Renewal {
  /** States that the VM may be in when the run begins. */
  readonly from: readonly VmState[];
  /** A start by the restart policy, or for a reboot: the row of restarts goes on. */
  readonly isCarriedOn: boolean;
  /** Idempotency key of the call that asks for the run. */
  readonly startKey?: string;
}

/** What the steps of a start hand to each other. A member is there once the step that makes it has run. */
export interface StartContext {
  readonly machinery: Machinery;
  readonly plan: StartPlan;
  readonly onConsole?: (chunk: Uint8Array) => void;
  /** Absent: the VM is made by this start, and nothing stays of it where the start fails. */
  readonly renewal?: Renewal;
  /** Of the call that makes the VM. */
  readonly idempotency?: Idempotency;
  user?: JailUser;
  record?: VmRecord;
  /** Directories that were made by this very start, and are its to remove. */
  madeJail?: boolean;
  /** Of the jail's root, as it was made: what is put in its place later is not it. */
  rootIdentity?: FileIdentity;
  /** What was read back of the VM's network, once it is made. */
  networkControls?: Promise<readonly Control[]>;
  launch?: Launch;
  drains?: Drains;
  /** Descriptor on which Firecracker waits for its configuration. */
  configWriter?: number;
  process?: ProcessIdentity;
  /** Fires when this process lets go of the VM that it has started. */
  readonly letGo: AbortController;
  /** Settles when Firecracker has ended, with its status where that can be known. */
  ended?: Promise<ProcessExit>;
  /** Set once it has, after it was found. */
  exit?: ProcessExit;
  client?: FirecrackerClient;
  /** Settles when Firecracker has answered with this VM's id. */
  answered?: Promise<unknown>;
  wanted?: WantedIsolation;
  heldProof?: PhaseProof;
  isolation?: IsolationReport;
  readonly timings: Record<string, number>;
}

/** A member that an earlier step has made; its absence is a defect of the step list. */
export function need<Key extends keyof StartContext>(context: StartContext, key: Key): NonNullable<StartContext[Key]> {
  const value = context[key];
  if (value === undefined || value === null) throw new TypeError(`no step before this one has made ${key}`);
  return value as NonNullable<StartContext[Key]>;
}
