import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { WarderError } from "../../vm/error.ts";
import type { HostPath } from "../../vm/path.ts";
import type { CommandOutput, CommandRequest, Commands } from "../host.ts";

/** Where the system's tools are, whatever `PATH` a user has: root's tools are often missing from it. */
const systemDirectories = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const DEFAULT_TIMEOUT_MS = 10_000;
const OUTPUT_LIMIT_BYTES = 4 * 1024 * 1024;

/**
 * The tools of this machine.
 *
 * @param searchPath - Directories, separated by colons, which are looked through before the system's own.
 */
export function realCommands(searchPath: string): Commands {
  const directories = [...searchPath.split(":").filter((entry) => entry.startsWith("/")), ...systemDirectories];
  const found = new Map<string, HostPath>();
  const commands: Commands = {
    find(tool) {
      const known = found.get(tool);
      if (known !== undefined) return known;
      const candidates = tool.startsWith("/") ? [tool] : directories.map((directory) => `${directory}/${tool}`);
      const path = candidates.find(isExecutable) as HostPath | undefined;
      if (path !== undefined) found.set(tool, path);
      return path;
    },
    run(request) {
      const path = commands.find(request.tool);
      return path === undefined ? Promise.reject(missing(request.tool)) : execute(path, request);
    },
  };
  return commands;
}

function isExecutable(path: string): boolean {
  try {
    fs.accessSync(path, fs.constants.X_OK);
    return fs.statSync(path).isFile();
  } catch {
    // Not there, or not for us: either way it is not the tool.
    return false;
  }
}

function execute(path: HostPath, request: CommandRequest): Promise<CommandOutput> {
  return new Promise((resolve, reject) => {
    const options = {
      env: { LC_ALL: "C", PATH: systemDirectories.join(":") },
      timeout: request.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      killSignal: "SIGKILL" as const,
      maxBuffer: OUTPUT_LIMIT_BYTES,
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    };
    const child = execFile(path, request.args, options, (error, stdout, stderr) => {
      if (error === null) resolve({ stdout, stderr });
      else reject(failure(request, error, stdout, stderr));
    });
    // A tool that ends before it has read its input is judged by its status, not by the broken pipe.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(request.input ?? "");
  });
}

function missing(tool: string): WarderError {
  return new WarderError("tool-missing", {
    doing: `running ${tool}`,
    why: "it is not installed",
    cure: `Install the package that has ${tool}`,
  });
}

function failure(request: CommandRequest, error: Error & { killed?: boolean }, stdout: string, stderr: string): Error {
  if (error.name === "AbortError") return error;
  const doing = `running ${[request.tool, ...request.args].join(" ")}`;
  if (error.killed === true) {
    return new WarderError("deadline-exceeded", {
      doing,
      why: `it did not end within ${request.timeoutMs ?? DEFAULT_TIMEOUT_MS} ms`,
      cause: error,
    });
  }
  const output = `${stderr}${stdout}`.trim();
  return new WarderError("tool-failed", { doing, why: output === "" ? error.message : output, cause: error });
}
