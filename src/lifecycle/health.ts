import type { Duplex } from "node:stream";
import { instanceInfoOver } from "../firecracker/ask-over.ts";
import { messageOf } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import type { IsolationLevel } from "../vm/isolation.ts";
import type { VmRecord } from "../vm/record.ts";
import type { VmState } from "../vm/state.ts";
import { sightVm } from "./identity.ts";
import type { Machinery } from "./machinery.ts";
import { usageOf, type VmUsage } from "./usage.ts";

/** How long one look at a VM may take. Firecracker serves one request at a time: a snapshot holds up all others. */
const TIMEOUT_MS = 5_000;

/** One thing that was looked at. */
export interface HealthCheck {
  readonly isOk: boolean;
  /** Why not, as a clause. */
  readonly problem?: string;
  readonly durationMs: number;
}

/** What a look at one VM found. */
export interface VmHealth {
  readonly id: VmId;
  readonly state: VmState;
  /** `not-running` where the VM is in a state in which it has no process to look at, which is no fault. */
  readonly status: "healthy" | "unhealthy" | "not-running";
  readonly isJailed: boolean;
  /** `null` where it was not judged. */
  readonly isolation: IsolationLevel | null;
  readonly pid: number | null;
  /** As the host sees it: in the jail, where there is one. */
  readonly socket: string;
  /** Absent where there is nothing to look at. */
  readonly checks?: {
    /** The recorded process, told from another of the same pid by its start time, is there and is this VM's Firecracker. */
    readonly process: HealthCheck;
    /** Its API socket can be connected to, is its own, and is answered as this VM. */
    readonly socket: HealthCheck;
    /** What it uses can be read. */
    readonly usage: HealthCheck;
  };
  /** As the kernel counts it: the cgroup's numbers, or the process's where it has no cgroup. */
  readonly usage: VmUsage;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** How a look is taken. */
export interface HealthOptions {
  /** Default 5 000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Looks at one VM, jailed or not, and changes nothing. Whatever is wrong with the VM is in the answer; only the caller's
 * giving up is thrown.
 */
export async function lookAtVm(machinery: Machinery, record: VmRecord, options: HealthOptions = {}): Promise<VmHealth> {
  const about = {
    id: record.id,
    state: record.state,
    isJailed: record.jailed,
    isolation: record.isolation?.level ?? null,
    pid: record.process?.pid ?? null,
    socket: record.layout.socket,
    at: machinery.host.clock.now(),
  };
  if (record.state !== "running" && record.state !== "paused") return { ...about, status: "not-running", usage: {} };
  const process = await check(machinery, () => checkProcess(machinery, record));
  const socket = await check(machinery, () => checkSocket(machinery, record, process.isOk, options));
  options.signal?.throwIfAborted();
  let used: VmUsage = {};
  const usage = await check(machinery, () => {
    used = usageOf(machinery.host, record);
  });
  const isHealthy = process.isOk && socket.isOk && usage.isOk;
  return { ...about, status: isHealthy ? "healthy" : "unhealthy", checks: { process, socket, usage }, usage: used };
}

function checkProcess(machinery: Machinery, record: VmRecord): void {
  const sighting = sightVm(machinery, record);
  if (sighting.kind !== "running") throw new Error(sighting.why);
}

async function checkSocket(
  machinery: Machinery,
  record: VmRecord,
  isAlive: boolean,
  { timeoutMs = TIMEOUT_MS, signal }: HealthOptions,
): Promise<void> {
  if (!isAlive) throw new Error("no process serves it");
  const deadline = AbortSignal.timeout(timeoutMs);
  const within = signal === undefined ? deadline : AbortSignal.any([deadline, signal]);
  try {
    const info = await instanceInfoOver(await connect(machinery, record, within), within);
    if (info.id !== record.id) throw new Error(`${JSON.stringify(info.id.slice(0, 64))} answers on it`);
  } catch (error) {
    throw deadline.aborted ? new Error(`there was no answer within ${timeoutMs} ms`, { cause: error }) : error;
  }
}

/** In a jail the jailed process can put anything there: only a socket that is the VM's own is connected to. */
function connect({ host }: Machinery, { jailed, layout, uid }: VmRecord, signal: AbortSignal): Promise<Duplex> {
  if (!jailed) return host.streams.connect({ unix: layout.socket }, signal);
  return host.streams.connectOwned({ path: layout.socket, owner: uid, through: layout.directory }, signal);
}

async function check({ host }: Machinery, look: () => Promise<void> | void): Promise<HealthCheck> {
  const began = host.clock.monotonic();
  const durationMs = () => Math.round((host.clock.monotonic() - began) * 1000) / 1000;
  try {
    await look();
    return { isOk: true, durationMs: durationMs() };
  } catch (error) {
    return { isOk: false, problem: messageOf(error), durationMs: durationMs() };
  }
}
