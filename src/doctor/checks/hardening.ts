import type { Check, CheckContext } from "../check.ts";
import { readIfThere } from "../look.ts";
import { ok, skipped, type Verdict, warning } from "../report.ts";
import { kernelVersion } from "./host.ts";

/** What upstream's `prod-host-setup.md` asks of a host: none of it keeps a VM from being jailed. */
export const hardeningChecks: readonly Check[] = [
  { code: "cgroup-favordynmods", run: checkFavorDynmods },
  { code: "swap", run: checkSwap },
  { code: "ksm", run: checkKsm },
  { code: "smt", run: checkSmt },
  { code: "cpu-vulnerabilities", run: checkVulnerabilities },
  { code: "nx-huge-pages", run: checkNxHugePages },
];

function checkFavorDynmods({ host }: CheckContext): Verdict {
  const [major = 0, minor = 0] = kernelVersion(readIfThere(host, `${host.roots.proc}/sys/kernel/osrelease`) ?? "");
  if (major < 6 || (major === 6 && minor < 1)) return ok("this kernel doesn't need it");
  const mounts = (readIfThere(host, `${host.roots.proc}/self/mounts`) ?? "").split("\n");
  const cgroupMounts = mounts
    .map((line) => line.split(" "))
    .filter(([, , type]) => type === "cgroup2" || type === "cgroup");
  if (cgroupMounts.length === 0) return skipped("no cgroups are mounted");
  const isFavored = cgroupMounts.some(([, , , options]) => options?.split(",").includes("favordynmods"));
  return isFavored ? ok("favordynmods is on") : warning("favordynmods is off");
}

function checkSwap({ host }: CheckContext): Verdict {
  const swaps = readIfThere(host, `${host.roots.proc}/swaps`);
  if (swaps === undefined) return ok("this kernel has none");
  const areas = swaps
    .split("\n")
    .slice(1)
    .map((line) => line.split(/\s+/)[0] ?? "");
  if (areas.length === 0) return ok("none is on");
  // A compressed RAM disk keeps nothing once the power is off.
  return areas.every((area) => area.startsWith("/dev/zram"))
    ? ok(`only in memory: ${areas.join(", ")}`)
    : warning(areas.join(", "));
}

function checkKsm({ host }: CheckContext): Verdict {
  const run = readIfThere(host, `${host.roots.sys}/kernel/mm/ksm/run`);
  return run === "1" ? warning("it is on") : ok(run === undefined ? "this kernel has none" : "it is off");
}

function checkSmt({ host }: CheckContext): Verdict {
  const active = readIfThere(host, `${host.roots.sys}/devices/system/cpu/smt/active`);
  if (active === undefined) return skipped("the kernel doesn't say");
  return active === "1" ? warning("it is on") : ok("it is off");
}

function checkVulnerabilities({ host }: CheckContext): Verdict {
  const directory = `${host.roots.sys}/devices/system/cpu/vulnerabilities`;
  if (host.files.inspect(directory) === undefined) return skipped("the kernel doesn't list flaws");
  const open = host.files
    .list(directory)
    .filter((name) => readIfThere(host, `${directory}/${name}`)?.startsWith("Vulnerable"));
  return open.length === 0
    ? ok("every known flaw is mitigated or absent")
    : warning(`not mitigated: ${open.join(", ")}`);
}

function checkNxHugePages({ host }: CheckContext): Verdict {
  const setting = readIfThere(host, `${host.roots.sys}/module/kvm/parameters/nx_huge_pages`);
  if (setting === undefined) return skipped("the kernel doesn't say");
  const flaw = readIfThere(host, `${host.roots.sys}/devices/system/cpu/vulnerabilities/itlb_multihit`);
  const isOff = setting === "N" || setting === "never";
  if (isOff) return ok("it is off");
  return flaw === "Not affected" ? warning("it is on, and this CPU is not affected") : ok("it is on, and needed");
}
