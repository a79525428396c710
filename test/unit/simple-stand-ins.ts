/** Hosts and VMs for tests of the small API: a real process each, but no Firecracker and no jail. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { realClock } from "../../src/host/real/clock.ts";
import { shutDown } from "../../src/lifecycle/shutdown.ts";
import type { RunOptions } from "../../src/lifecycle/warder.ts";
import { HostPool, type HostSettings, type OpenHost, type VmOnHost } from "../../src/simple/hosts.ts";
import type { WarderError } from "../../src/vm/error.ts";
import type { VmExit } from "../../src/vm/exit.ts";
import { judgeIsolation } from "../../src/vm/isolation.ts";
import type { VmRecord } from "../../src/vm/record.ts";
import type { ShutdownMethod } from "../../src/vm/shutdown.ts";
import type { VmSpecInput } from "../../src/vm/spec.ts";
import type { VmView } from "../../src/vm/view.ts";

/** Ignores SIGTERM, and says so once it does. */
const STUBBORN = "process.on('SIGTERM', () => {}); console.log('ready'); setInterval(() => {}, 60000)";

/** What a stand-in host is like. */
export interface StandInOptions {
  readonly production?: boolean;
  readonly ignoresTerm?: boolean;
  /** What every start fails with. */
  readonly failure?: WarderError;
}

/** Everything that was asked of a stand-in. */
export interface StandIn {
  readonly pool: HostPool;
  readonly opened: HostSettings[];
  readonly closed: HostSettings[];
  readonly started: VmSpecInput[];
  readonly removed: string[];
}

/** A pool whose hosts start a process that does nothing for every VM. */
export function standIn(options: StandInOptions = {}): StandIn {
  const seen = { opened: [], closed: [], started: [], removed: [] } as Omit<StandIn, "pool">;
  return { ...seen, pool: new HostPool(async (settings) => openStandIn(settings, seen, options)) };
}

function openStandIn(settings: HostSettings, seen: Omit<StandIn, "pool">, options: StandInOptions): OpenHost {
  seen.opened.push(settings);
  return {
    isProduction: options.production === true,
    isAlive: ({ pid }) => isAlive(pid),
    async run(input: VmSpecInput, runOptions: RunOptions) {
      runOptions.signal?.throwIfAborted();
      seen.started.push(input);
      if (options.failure !== undefined) throw options.failure;
      return standInVm(input, await startChild(options.ignoresTerm === true), seen.removed);
    },
    [Symbol.asyncDispose]: async () => void seen.closed.push(settings),
  };
}

async function startChild(ignoresTerm: boolean): Promise<ChildProcess> {
  if (!ignoresTerm) return spawn("sleep", ["60"], { stdio: "ignore" });
  const child = spawn(process.execPath, ["-e", STUBBORN], { stdio: ["ignore", "pipe", "ignore"] });
  await once(child.stdout, "data");
  return child;
}

function standInVm(input: VmSpecInput, child: ChildProcess, removed: string[]): VmOnHost {
  const { pid = 0 } = child;
  const id = input.id ?? "vm";
  const process = { pid, startTicks: "1", bootId: "b" };
  let exit: VmExit | undefined;
  let endedBy: ShutdownMethod | undefined;
  const ended = once(child, "exit").then(([code, signal]): VmExit => {
    exit = { code, signal, at: 0, cause: endedBy === undefined ? "killed-by-stranger" : "killed", evidence: [] };
    return exit;
  });
  const view = () =>
    ({
      id,
      pid: exit === undefined ? pid : null,
      state: exit === undefined ? "running" : "exited",
      jailed: input.jailed ?? true,
      jail: { id, root: "/jail", socket: (input.apiSocket ?? "").replace("{id}", id), uid: 1, gid: 1 },
      isolation: judgeIsolation(input.policy ?? "strict", []),
      ...(exit === undefined ? {} : { exit }),
    }) as VmView;
  return {
    id: id as VmRecord["id"],
    record: { id, process } as VmRecord,
    inspect: view,
    wait: () => ended,
    async stop({ ladder = [], signal = new AbortController().signal } = {}) {
      const apply = async (method: ShutdownMethod) => {
        endedBy = method;
        child.kill(method === "sigterm" ? "SIGTERM" : "SIGKILL");
        return undefined;
      };
      return shutDown(realClock, ladder, { ended, apply }, { signal });
    },
    remove: async () => void removed.push(id),
    prove: async () => judgeIsolation("strict", []),
    readConsole: () => "console",
    readLog: () => "log",
  };
}

/** Whether a process is there and no zombie. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
