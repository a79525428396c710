/**
 * Kills managers, and looks at what is left: `npm run test:faults -- [--kills N] [--random N] [--plant] [--seed S] [--workers W] [--only OPERATION]
 * [--networks]`, as root, with real binaries. Each manager is a process of its own that dies of SIGKILL before or after one effect of
 * an operation (every one of them in turn), or at a random instant: N of those at least. Afterwards another manager opens the same state, and
 * the host is compared with what it may be. Operations on VMs with networks are another run, in a network of its own. Prints each finding, a table, and the seed; status 1 if anything was found,
 * or a manager hung. With `--plant`, managers have bugs instead, and status 1 means that one of them was not found.
 */
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { isInOwnNetwork, runInOwnNetwork } from "../support/network/own-network.ts";
import { Bed, type Finding } from "./bed.ts";
import type { Death } from "./effects.ts";
import { operations } from "./operations.ts";
import type { Bug, Order } from "./victim.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "500" },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    workers: { type: "string", default: "2" },
    only: { type: "string" },
    random: { type: "string", default: "100" },
    plant: { type: "boolean", default: false },
    networks: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const wanted = Number(values.kills);
const wantedRandom = Number(values.random);
const seed = Number(values.seed);
const random = mulberry32(seed);

/** Longer than any operation takes on a busy machine. */
const VICTIM_TIMEOUT_MS = values.plant ? 5_000 : 60_000;
/** An operation with more effects than that does not end. */
const EFFECTS_MAX = 2_000;

/** How one manager ended. */
interface Ending {
  /** Effects of the whole operation, where it was survived. */
  readonly survived?: number;
  /** What it died of. */
  readonly what?: string;
  /** It did not end by itself. */
  readonly hung?: boolean;
}

interface Row {
  effects: number;
  planted: number;
  random: number;
  findings: number;
}

const rows: Record<string, Row> = {};
const findings: (Finding & { operation: string; what: string })[] = [];
const names = Object.entries(operations)
  .filter(([name, { hasNetworks = false }]) => hasNetworks === values.networks && (values.only ?? name) === name)
  .map(([name]) => name);
const queue = [...names];
// Names of interfaces and namespaces are the host's, and follow from the VM's.
const workers = values.networks ? 1 : Number(values.workers);
if (values.networks && !isInOwnNetwork()) process.exitCode = runInOwnNetwork();
else if (values.plant) await findPlanted();
else {
  // What was found so far is worth having where somebody has no more time.
  process.once("SIGTERM", () => {
    report();
    process.exit(1);
  });
  await Promise.all(Array.from({ length: workers }, work));
  await fillWithRandomDeaths();
  report();
}

async function work(): Promise<void> {
  await using bed = await Bed.make();
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) await everyEffect(bed, name);
}

/** Dies before and after each effect of an operation, until it is survived. */
async function everyEffect(bed: Bed, name: string): Promise<void> {
  const row: Row = { effects: 0, planted: 0, random: 0, findings: 0 };
  rows[name] = row;
  for (let effect = 1; effect <= EFFECTS_MAX; effect++) {
    for (const moment of ["before", "after"] as const) {
      const ending = await once(bed, name, { effect, moment });
      if (ending.survived === undefined) row.planted++;
      else row.effects = ending.survived;
      if (ending.survived !== undefined && effect > ending.survived) return;
    }
  }
  throw new RangeError(`${name} has more than ${EFFECTS_MAX} effects`);
}

/** What is missing to the wanted number are deaths at instants that nobody chose. */
async function fillWithRandomDeaths(): Promise<void> {
  const planted = Object.values(rows).reduce((sum, row) => sum + row.planted, 0);
  let left = Math.max(wantedRandom, wanted - planted);
  const worker = async () => {
    await using bed = await Bed.make();
    for (; left > 0; ) {
      left--;
      const name = names[Math.floor(random() * names.length)] ?? "start";
      await once(bed, name, undefined, random() * 80);
      const row = rows[name];
      if (row !== undefined) row.random++;
    }
  };
  await Promise.all(Array.from({ length: workers }, worker));
}

async function once(bed: Bed, name: string, death: Death | undefined, afterMs = 0, plant?: Bug): Promise<Ending> {
  const operation = operations[name];
  if (operation === undefined) throw new RangeError(`there is no operation ${name}`);
  await bed.prepare(operation);
  const ending = await runVictim(
    { operation: name, options: bed.options, ...(death && { death }), ...(plant && { plant }) },
    afterMs,
  );
  const what =
    ending.what ?? (death === undefined ? `at random, ${afterMs.toFixed(1)} ms in` : "of nothing: it was done");
  const hang = ending.hung === true ? [{ problem: `the manager hung for ${VICTIM_TIMEOUT_MS / 1_000} s` }] : [];
  for (const finding of [...hang, ...(await bed.compare(operation))]) {
    findings.push({ ...finding, operation: name, what });
    const row = rows[name];
    if (row !== undefined) row.findings++;
    console.error(
      `FOUND ${name}, died ${what}${death === undefined ? "" : ` (effect ${death.effect} ${death.moment})`}: ${finding.problem}`,
    );
  }
  return ending;
}

/** Gives managers bugs that the harness must find. */
async function findPlanted(): Promise<void> {
  const planted: Record<Bug, readonly [operation: string, finding: RegExp]> = {
    jail: ["remove by force", /left behind: .*files: /],
    record: ["pause", /there is no record of it/],
    lease: ["pause", /lease: host-port tcp:9 witness/],
    draft: ["pause", /a draft is left: planted\.new-1/],
    hang: ["pause", /the manager hung/],
  };
  for (const [bug, [name, wantedFinding]] of Object.entries(planted) as [Bug, (typeof planted)[Bug]][]) {
    await using bed = await Bed.make();
    const before = findings.length;
    await once(bed, name, { effect: EFFECTS_MAX, moment: "before" }, 0, bug);
    const isFound = findings.slice(before).some(({ problem }) => wantedFinding.test(problem));
    console.log(`${bug.padEnd(10)}${isFound ? "found" : "NOT FOUND"}`);
    if (!isFound) process.exitCode = 1;
  }
}

function runVictim(order: Order, afterMs: number): Promise<Ending> {
  const args = ["--disable-warning=ExperimentalWarning", "--import", `${import.meta.dirname}/effects.ts`];
  const victim = spawn(process.execPath, [...args, `${import.meta.dirname}/victim.ts`, JSON.stringify(order)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  victim.stderr.on("data", (chunk) => {
    said = (said + chunk).slice(-4_000);
  });
  const ending: { survived?: number; what?: string; hung?: boolean } = {};
  createInterface({ input: victim.stdout }).on("line", (line) => {
    const [word = "", ...rest] = line.split(" ");
    if (word === "died") ending.what = rest.join(" ");
    if (word === "done") ending.survived = Number(rest[0]);
    if (word === "armed" && order.death === undefined) setTimeout(() => victim.kill("SIGKILL"), afterMs);
  });
  const timer = setTimeout(() => {
    ending.hung = true;
    victim.kill("SIGKILL");
  }, VICTIM_TIMEOUT_MS);
  return new Promise((resolve, reject) => {
    victim.once("close", (code, signal) => {
      clearTimeout(timer);
      if (signal === "SIGKILL") resolve(ending);
      else reject(new Error(`the manager ended by itself, with ${code ?? signal}: ${said}`));
    });
  });
}

function report(): void {
  const kills = Object.values(rows).reduce((sum, row) => sum + row.planted + row.random, 0);
  const randomKills = Object.values(rows).reduce((sum, row) => sum + row.random, 0);
  if (values.json) console.log(JSON.stringify({ seed, kills, randomKills, rows, findings }));
  else {
    console.log(
      `${"operation".padEnd(24)}${["effects", "kills", "random", "findings"].map((each) => each.padStart(10)).join("")}`,
    );
    for (const [name, row] of Object.entries(rows)) {
      const cells = [row.effects, row.planted, row.random, row.findings].map((each) => String(each).padStart(10));
      console.log(`${name.padEnd(24)}${cells.join("")}`);
    }
    console.log(`\n${kills} managers killed, ${findings.length} findings; seed ${seed}`);
  }
  if (findings.length > 0 || kills < wanted || randomKills < wantedRandom) process.exitCode = 1;
}

/** A small generator whose sequence is the seed's: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
function mulberry32(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
