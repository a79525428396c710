/**
 * Warder as a contestant of `bench/run`: the library, in this one process. Takes the contract from the environment, opens
 * a host of its own in a temporary directory, and prints one JSON line for each VM. See README.md.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killLadder, type VmSpecInput, Warder } from "../src/index.ts";
import { type Contract, readContract } from "./contract.ts";

/** One VM's line. Times are milliseconds from the call of `run`; `null` is a figure that can not be had. */
interface Row {
  readonly contestant: string;
  readonly id: string;
  /** The jail is whole, and Firecracker waits for its configuration. */
  jail_ms: number | null;
  readonly jail_is: "held";
  /** Firecracker has said that the microVM started. */
  boot_ms: number | null;
  /** `onConsole` had the guest's marker. */
  first_byte_ms: number | null;
  /** `run` has returned: the guest runs, the API has answered, the proof is in the record. */
  ready_ms: number | null;
  exit_ms: number | null;
  cleanup_ms: number | null;
  rss_kib: number;
  isolation: string | null;
  /** Length of each step of the start, as `inspect` has them. */
  steps: Readonly<Record<string, number>>;
  error?: string;
}

const contract = readContract(process.env);
const stateDir = mkdtempSync(join(tmpdir(), "warder-bench-"));
process.exitCode = await main().finally(() => rmSync(stateDir, { recursive: true, force: true }));

async function main(): Promise<number> {
  await using warder = await open(contract);
  let next = 0;
  let failures = 0;
  const worker = async () => {
    while (next < contract.count) {
      const row = await startOne(warder, `${contract.idPrefix}${next++}`);
      if (row.error !== undefined) failures++;
      console.log(JSON.stringify(row));
    }
  };
  await Promise.all(Array.from({ length: contract.concurrency }, worker));
  return failures === 0 ? 0 : 1;
}

/** Jails and cgroups lie where the other contestants' do, so that the runner finds what was left behind. */
function open({ chrootBase, firecracker, jailer, firstUid }: Contract): Promise<Warder> {
  return Warder.open({
    stateDir,
    chrootBase,
    firecracker,
    jailer,
    parentCgroup: "firecracker",
    uidRange: { first: firstUid, count: 1000 },
    allowTestBinaries: true,
    // Warnings of starts without the jailer are what was asked for.
    reporter: { warn: () => undefined, note: () => undefined },
  });
}

async function startOne(warder: Warder, id: string): Promise<Row> {
  const began = performance.now();
  const sinceCall = () => round(performance.now() - began);
  const row: Row = {
    contestant: contract.name,
    id,
    jail_ms: null,
    jail_is: "held",
    boot_ms: null,
    first_byte_ms: null,
    ready_ms: null,
    exit_ms: null,
    cleanup_ms: null,
    rss_kib: 0,
    isolation: null,
    steps: {},
  };
  try {
    const vm = await warder.run(specOf(id), {
      onConsole: (chunk) => {
        if (row.first_byte_ms === null && Buffer.from(chunk).includes(contract.marker)) row.first_byte_ms = sinceCall();
      },
      onStep: ({ step }) => {
        if (step === "launch") row.jail_ms = sinceCall();
        if (step === "boot") row.boot_ms = sinceCall();
      },
    });
    row.ready_ms = sinceCall();
    if (contract.guestStays) await vm.stop({ ladder: killLadder });
    const exit = await vm.wait();
    const gone = sinceCall();
    // The record has the end in whole milliseconds since 1970: on average half of one later than that.
    row.exit_ms = round(exit.at + 0.5 - (performance.timeOrigin + began));
    row.cleanup_ms = round(gone - row.exit_ms);
    const { isolation, timings } = vm.inspect();
    row.isolation = isolation?.level ?? null;
    row.steps = timings;
    if (row.first_byte_ms === null) row.error = `no marker on the console; ended by ${exit.cause}`;
  } catch (error) {
    row.error = String(error);
  }
  row.rss_kib = peakRssKib();
  return row;
}

function specOf(id: string): VmSpecInput {
  const { kernel, vcpus, memoryMib, limits, timeoutMs, jailed, chrootBase } = contract;
  return {
    id,
    kernel,
    bootArgs: "console=ttyS0",
    vcpus,
    memoryMib,
    startTimeoutMs: timeoutMs,
    ...(jailed ? { limits } : { jailed, policy: "degrade", apiSocket: `${chrootBase}/${id}.socket` }),
  };
}

/** Not `process.resourceUsage()`: its peak counts that of the program before this one, too. */
function peakRssKib(): number {
  return Number(/^VmHWM:\s*(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? 0);
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}
