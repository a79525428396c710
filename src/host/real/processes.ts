import * as fs from "node:fs";
import type { Clock, Processes } from "../host.ts";
import { parseStat } from "../proc-stat.ts";
import { closeInherited, spawnBackground } from "./background.ts";
import { readExitFile } from "./exit-file.ts";
import { Spawner } from "./spawner.ts";

/** How often a process that is not our child is looked at. Its end is also seen, at once, by the FIFOs it held. */
const END_POLL_MS = 20;

/** The processes of this machine. */
export function realProcesses(clock: Clock, procRoot: string): Processes {
  const bootId = fs.readFileSync(`${procRoot}/sys/kernel/random/boot_id`, "utf8").trim();
  const processes: Processes = {
    prepareToSpawn: () => spawner.warmUp(),
    spawn: (request) => spawner.spawn(request),
    endSpawning: () => spawner.close(),
    spawnBackground: (request) => spawnBackground(request, processes.identify),
    closeInherited: () => closeInherited(procRoot),
    identify(pid) {
      const stat = readStat(procRoot, pid);
      // A zombie holds nothing any more, and is there only until its parent looks.
      if (stat === undefined || stat.state === "Z" || stat.state === "X") return undefined;
      return { pid, startTicks: stat.startTicks, bootId };
    },
    self: { pid: process.pid, startTicks: readStat(procRoot, process.pid)?.startTicks ?? "", bootId },
    effectiveUid: process.geteuid?.() ?? -1,
    isAlive(identity) {
      const now = processes.identify(identity.pid);
      return now !== undefined && now.startTicks === identity.startTicks && now.bootId === identity.bootId;
    },
    signal(identity, signal) {
      if (!processes.isAlive(identity)) return false;
      try {
        process.kill(identity.pid, signal);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
        throw error;
      }
    },
    exitOf: readExitFile,
    async waitForEnd(identity, signal) {
      while (processes.isAlive(identity)) await clock.sleep(END_POLL_MS, signal);
    },
  };
  const spawner = new Spawner(processes.identify);
  return processes;
}

function readStat(procRoot: string, pid: number): ReturnType<typeof parseStat> {
  try {
    return parseStat(fs.readFileSync(`${procRoot}/${pid}/stat`, "utf8"));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}
