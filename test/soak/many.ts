/**
 * Many VMs under one manager that is killed: `npm run soak:many -- [--vms N] [--json]`, as root, with real binaries. Starts
 * them, kills the manager with SIGKILL, opens another, which must have them all, proven, in three seconds; then removes
 * them, and nothing may be left. Status 1 otherwise.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { Warder } from "../../src/index.ts";
import { realBinaries } from "../support/capability-probes.ts";
import { snapshotHost } from "../support/host-snapshot.ts";
import { guest } from "../support/warder-fixture.ts";

const { values } = parseArgs({
  options: {
    vms: { type: "string", default: "500" },
    json: { type: "boolean", default: false },
    /** For the process that is killed: options of its manager. */
    victim: { type: "string" },
  },
});
const count = Number(values.vms);
const AT_ONCE = 8;
const ADOPTED_WITHIN_MS = 3_000;

if (values.victim !== undefined) await beVictim(JSON.parse(values.victim));
else process.exitCode = await main();

type Options = { stateDir: string; chrootBase: string; parentCgroup: string };

async function beVictim(options: Options): Promise<void> {
  const warder = await Warder.open({ ...options, reporter: { warn: () => undefined, note: () => undefined } });
  let next = 0;
  const worker = async () => {
    for (let number = next++; number < count; number = next++) {
      await warder.run({
        id: `many-${number}`,
        kernel: guest("idle"),
        bootArgs: "console=ttyS0",
        startTimeoutMs: 60_000,
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  console.log("all run");
  await new Promise(() => setInterval(() => undefined, 1_000));
}

async function main(): Promise<number> {
  const directory = fs.mkdtempSync("/var/tmp/warder-many-");
  const options = {
    ...realBinaries(),
    stateDir: `${directory}/state`,
    chrootBase: `${directory}/jails`,
    parentCgroup: `warder-many-${process.pid}`,
  };
  const found: string[] = [];
  const began = performance.now();
  await startAndKill(options);
  const startedMs = performance.now() - began;
  let adoptedMs = 0;
  let removedMs = 0;
  {
    const opening = performance.now();
    await using warder = await Warder.open({
      ...options,
      reporter: { warn: (what) => void found.push(what), note: () => undefined },
    });
    adoptedMs = performance.now() - opening;
    const vms = warder.list();
    const proven = vms.filter((vm) => vm.state === "running" && vm.inspect().isolation?.level === "proven");
    const owned = vms.filter((vm) => vm.record.owner?.pid === process.pid);
    if (proven.length !== count) found.push(`${proven.length} of ${count} run and are proven`);
    if (owned.length !== count) found.push(`${owned.length} of ${count} were adopted`);
    if (adoptedMs > ADOPTED_WITHIN_MS) found.push(`adoption took ${adoptedMs.toFixed(0)} ms`);
    const removing = performance.now();
    let next = 0;
    const worker = async () => {
      for (let vm = vms[next++]; vm !== undefined; vm = vms[next++]) await vm.remove({ force: true });
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    removedMs = performance.now() - removing;
    const left = snapshotHost({ ...options, store: warder.machinery.store });
    for (const [kind, value] of Object.entries(left)) {
      const amount = Array.isArray(value) ? value.length : Number(value);
      if (amount > 0 && kind !== "networkNamespaces") found.push(`${amount} ${kind} left`);
    }
  }
  fs.rmSync(directory, { recursive: true, force: true });
  for (const top of fs.readdirSync("/sys/fs/cgroup")) {
    const path = `/sys/fs/cgroup/${top}/${options.parentCgroup}`;
    if (fs.existsSync(path)) fs.rmdirSync(path);
  }
  const figures = { vms: count, startedMs, adoptedMs, removedMs };
  if (values.json) console.log(JSON.stringify({ ...figures, found }));
  else {
    for (const [name, value] of Object.entries(figures))
      console.log(`${name.padEnd(12)}${value.toFixed(0).padStart(10)}`);
    for (const problem of found) console.log(`FOUND ${problem}`);
  }
  return found.length === 0 ? 0 : 1;
}

async function startAndKill(options: Options): Promise<void> {
  const args = ["--disable-warning=ExperimentalWarning", import.meta.filename, "--vms", String(count)];
  const victim = spawn(process.execPath, [...args, "--victim", JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = new Promise((resolve) => victim.once("close", resolve));
  for await (const line of createInterface({ input: victim.stdout })) if (line === "all run") break;
  if (victim.exitCode !== null) throw new Error(`the manager ended with status ${victim.exitCode}`);
  victim.kill("SIGKILL");
  await closed;
}
