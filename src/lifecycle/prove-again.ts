import type { FirecrackerClient } from "../firecracker/client.ts";
import {
  controlNames,
  type PhaseProof,
  proveHeld,
  proveRunning,
  reportIsolation,
  withControls,
} from "../isolation/prove.ts";
import type { WantedIsolation } from "../isolation/wanted.ts";
import { WarderError } from "../vm/error.ts";
import type { Control, ControlPhase, IsolationReport } from "../vm/isolation.ts";
import type { VmRecord } from "../vm/record.ts";
import { isApiOnly } from "../vm/spec.ts";
import { isLive } from "../vm/state.ts";
import { connectApi } from "./api.ts";
import type { Machinery } from "./machinery.ts";

/**
 * What a start knew of its jail before anything untrusted ran: which file was which can not be found out afterwards, so
 * it is kept.
 */
export interface StartProof {
  readonly wanted: WantedIsolation;
  readonly held: PhaseProof;
}

const WANTED = "wanted-isolation";

/** Keeps what a start asked for, for whoever proves the VM's isolation later. */
export function keepWanted({ store }: Pick<Machinery, "store">, wanted: WantedIsolation): void {
  store.keepDocument(wanted.id, WANTED, wanted);
}

/** What was kept of a VM's start; `undefined` where it did not get so far as to be proven. */
export function keptProof({ store }: Pick<Machinery, "store">, record: VmRecord): StartProof | undefined {
  const wanted = store.document(record.id, WANTED) as WantedIsolation | undefined;
  if (wanted === undefined || record.isolation === undefined) return undefined;
  const controls = record.isolation.controls.filter(({ phase }) => phase === "held");
  const unread = controlNames(wanted, "held").filter((name) => !controls.some((control) => control.name === name));
  return { wanted, held: { phase: "held", vanished: unread.length > 0, controls, unread } };
}

/**
 * Reads a VM's isolation back from the kernel once more, and records it: with a guest running what exists only then,
 * else the jail. Judges nothing; that is the caller's.
 */
async function proveAgain(
  machinery: Machinery,
  record: VmRecord,
  proof: StartProof,
  signal: AbortSignal | undefined,
): Promise<IsolationReport> {
  const { host, store } = machinery;
  const { process, spec } = record;
  if (process === undefined) throw new TypeError(`${record.id} has no process to look at`);
  const vcpus = isApiOnly(spec) ? await askForGuest(machinery, record, signal) : spec.vcpus;
  const wanted = { ...proof.wanted, vcpus: vcpus ?? spec.vcpus };
  const network = await networkControls(machinery, record, vcpus === undefined ? "held" : "running", signal);
  const proofs =
    vcpus === undefined
      ? { held: withControls(proveHeld(host, process, wanted), network) }
      : { held: proof.held, running: withControls(proveRunning(host, process, wanted), network) };
  const isolation = reportIsolation(spec.policy, wanted, proofs);
  const isAsBefore = (current: VmRecord) => JSON.stringify(current.isolation) === JSON.stringify(isolation);
  store.update(record.id, (current) => (isAsBefore(current) ? current : { ...current, isolation }));
  return isolation;
}

async function networkControls(
  machinery: Machinery,
  record: VmRecord,
  phase: ControlPhase,
  signal: AbortSignal | undefined,
): Promise<readonly Control[]> {
  if (record.network === undefined) return [];
  const { readNetworkControls } = await import("./network.ts");
  return readNetworkControls(machinery, record, phase, signal);
}

/**
 * {@link proveAgain}, for whoever has the VM's run in hand.
 *
 * @throws {@link WarderError} `wrong-state` where there is none, or another process started it.
 */
export async function proveOnceMore(
  machinery: Machinery,
  record: VmRecord,
  proof: StartProof | undefined,
  signal: AbortSignal | undefined,
): Promise<IsolationReport> {
  if (proof !== undefined && isLive(record.state)) return proveAgain(machinery, record, proof, signal);
  const why = isLive(record.state) ? "only the process that started it can" : `it is ${record.state}`;
  throw new WarderError("wrong-state", { doing: `proving the isolation of ${record.id} once more`, why });
}

/** Of a VM that is its user's to start: how many vCPUs it runs with; `undefined` where it was not started. */
async function askForGuest(
  { host }: Machinery,
  record: VmRecord,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  const client: FirecrackerClient = connectApi(host, record);
  const options = signal === undefined ? {} : { signal };
  try {
    const { state } = await client.instanceInfo(options);
    return state === "Not started" ? undefined : (await client.machineConfig(options)).vcpu_count;
  } finally {
    client.close();
  }
}

/** A VM that is not as its strict policy wants it. */
export function gapFound(id: string, { gaps }: IsolationReport): WarderError {
  return new WarderError("isolation-gap", {
    doing: `proving the isolation of ${id} once more`,
    why: `it is not what was asked for: ${gaps.join("; ")}`,
    cure: "The VM was killed. The policy `degrade` lets it run with its gaps named",
  });
}
