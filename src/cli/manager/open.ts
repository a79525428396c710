import type { DoctorReport } from "../../doctor/report.ts";
import type { ExamineOptions } from "../../lifecycle/examine.ts";
import { isWarderError, WarderError } from "../../vm/error.ts";
import type { CommonRequest } from "../command.ts";
import { type OpenOptions, openWarder } from "../open.ts";
import type { Terminal } from "../terminal.ts";
import { chooseWay } from "./choose.ts";
import type { Manager } from "./manager.ts";

/** Opens the host for a command: a daemon's where one answers, else in this process. */
export async function openManager(
  request: CommonRequest,
  terminal: Terminal,
  options: OpenOptions = {},
): Promise<Manager> {
  const way = await chooseWay(request.overrides);
  if (way.kind === "daemon") {
    const { RemoteManager } = await import("./remote.ts");
    return new RemoteManager(way.client);
  }
  const { LocalManager } = await import("./local.ts");
  try {
    return new LocalManager(await openWarder(request, terminal, options), { ...request, terminal });
  } catch (error) {
    throw way.refused === undefined ? error : neither(error, way.refused);
  }
}

/** Examines the host of VMs: the daemon's, where one answers. */
export async function examine(request: CommonRequest, options: ExamineOptions): Promise<DoctorReport> {
  const way = await chooseWay(request.overrides);
  if (way.kind === "daemon") {
    using client = way.client;
    return await client.host.doctor({ probe: options.probe, signal: options.signal });
  }
  const { examineHost } = await import("../../lifecycle/examine.ts");
  return examineHost(request.overrides, options);
}

/** A user who can neither use the daemon nor open the host: the daemon's socket is what was missing. */
function neither(error: unknown, refused: WarderError): unknown {
  if (!isWarderError(error) || error.code !== "permission-denied") return error;
  return new WarderError("permission-denied", {
    doing: error.doing,
    why: `${error.why}, and the daemon's socket may not be used either (${refused.why})`,
    cure: refused.cure ?? "Run as root",
    cause: error,
  });
}
