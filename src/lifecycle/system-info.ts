import type { Host } from "../host/host.ts";
import type { SystemInfo } from "../observability/health/host-health.ts";
import { systemCodeOf } from "../vm/error.ts";

const KIB = 1024;

/** What the machine is, as `/proc` tells. */
export function readSystem({ files, roots }: Pick<Host, "files" | "roots">): SystemInfo {
  const read = (path: string) => readIfThere(files, `${roots.proc}/${path}`);
  const hostname = read("sys/kernel/hostname").trim();
  const cpus = read("cpuinfo");
  const cpuModel = /^model name\s*: (.*)$/m.exec(cpus)?.[1];
  const memory = memoryOf(read("meminfo"));
  return {
    ...(hostname === "" ? {} : { hostname }),
    cores: cpus.match(/^processor\s*:/gm)?.length ?? 0,
    ...(cpuModel === undefined ? {} : { cpuModel }),
    ...(memory === undefined ? {} : { memory }),
  };
}

function memoryOf(text: string): SystemInfo["memory"] {
  const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)?.[1] ?? Number.NaN);
  const [totalBytes, availableBytes] = [kilobytes("MemTotal") * KIB, kilobytes("MemAvailable") * KIB];
  return Number.isFinite(totalBytes + availableBytes) ? { totalBytes, availableBytes } : undefined;
}

function readIfThere(files: Host["files"], path: string): string {
  try {
    return files.readText(path);
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return "";
    throw error;
  }
}
