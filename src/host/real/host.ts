import type { Host } from "../host.ts";
import { realClock } from "./clock.ts";
import { realCommands } from "./commands.ts";
import { connect, connectOwned } from "./connect.ts";
import { realFifos } from "./fifos.ts";
import { realFiles } from "./files.ts";
import { listen } from "./listen.ts";
import { realProcesses } from "./processes.ts";
import { realSockets } from "./sockets.ts";

/**
 * This machine.
 *
 * @param searchPath - Where tools are looked for before the system's own directories; the caller's `PATH`.
 */
export function openHost(searchPath = ""): Host {
  const commands = realCommands(searchPath);
  const roots = Object.freeze({ proc: "/proc", sys: "/sys", dev: "/dev" });
  return Object.freeze({
    roots,
    files: realFiles,
    fifos: realFifos(commands),
    processes: realProcesses(realClock, roots.proc),
    commands,
    sockets: realSockets,
    streams: { connectOwned, connect, listen },
    clock: realClock,
  });
}
