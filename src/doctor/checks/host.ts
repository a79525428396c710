import type { Check, CheckContext } from "../check.ts";
import { readIfThere } from "../look.ts";
import { ok, problem, skipped, type Verdict, warning } from "../report.ts";

/** Of capabilities(7), what the jailer and Warder use. */
const neededCapabilities: readonly (readonly [bit: bigint, name: string])[] = [
  [0n, "CAP_CHOWN"],
  [1n, "CAP_DAC_OVERRIDE"],
  [3n, "CAP_FOWNER"],
  [5n, "CAP_KILL"],
  [6n, "CAP_SETGID"],
  [7n, "CAP_SETUID"],
  [18n, "CAP_SYS_CHROOT"],
  [21n, "CAP_SYS_ADMIN"],
  [27n, "CAP_MKNOD"],
];

const neededTools = ["mknod", "mkfifo"];
const networkTools = ["ip", "nft"];

const OLDEST_KERNEL = [5, 10] as const;
/** Measured by upstream: ten parallel jails take ten times as long with 500 mounts. */
const MANY_MOUNTS = 200;

/** Checks of the process and of the kernel at large. */
export const hostChecks: readonly Check[] = [
  { code: "root", run: checkRoot },
  { code: "capabilities", run: checkCapabilities },
  { code: "kernel-version", run: checkKernelVersion },
  { code: "system-tools", run: checkTools },
  { code: "mount-count", run: checkMountCount },
];

function checkRoot({ host }: CheckContext): Verdict {
  const uid = host.processes.effectiveUid;
  return uid === 0 ? ok("this process is root's") : problem(`this process is user ${uid}'s`);
}

function checkCapabilities({ host }: CheckContext): Verdict {
  const status = readIfThere(host, `${host.roots.proc}/self/status`) ?? "";
  const held = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (held === undefined) return skipped("the kernel doesn't say which capabilities this process has");
  const missing = neededCapabilities.filter(([bit]) => ((BigInt(`0x${held}`) >> bit) & 1n) === 0n);
  if (missing.length === 0) return ok("all that the jailer needs are there");
  return problem(`missing: ${missing.map(([, name]) => name).join(", ")}`);
}

function checkKernelVersion({ host }: CheckContext): Verdict {
  const release = readIfThere(host, `${host.roots.proc}/sys/kernel/osrelease`) ?? "";
  const [major, minor] = kernelVersion(release);
  if (major === undefined || minor === undefined) return warning(`the kernel calls itself ${JSON.stringify(release)}`);
  const isOld = major < OLDEST_KERNEL[0] || (major === OLDEST_KERNEL[0] && minor < OLDEST_KERNEL[1]);
  return isOld ? problem(`Linux ${release}`) : ok(`Linux ${release}`);
}

/** Major and minor number of a kernel release such as `6.1.0-25-amd64`. */
export function kernelVersion(release: string): readonly [major?: number, minor?: number] {
  const match = /^(\d+)\.(\d+)/.exec(release);
  return match === null ? [] : [Number(match[1]), Number(match[2])];
}

function checkTools({ host }: CheckContext): Verdict {
  const isMissing = (tool: string): boolean => host.commands.find(tool) === undefined;
  const missing = neededTools.filter(isMissing);
  if (missing.length > 0) return problem(`missing: ${missing.join(", ")}`);
  const missingForNetworks = networkTools.filter(isMissing);
  if (missingForNetworks.length === 0) return ok(`${[...neededTools, ...networkTools].join(", ")} are there`);
  return warning(`missing, for networks: ${missingForNetworks.join(", ")}`, {
    cause: "VMs can be jailed, but not given networks.",
  });
}

function checkMountCount({ host }: CheckContext): Verdict {
  const mounts = readIfThere(host, `${host.roots.proc}/self/mountinfo`);
  if (mounts === undefined) return skipped("the kernel doesn't list mounts");
  const count = mounts.split("\n").length;
  return count > MANY_MOUNTS ? warning(`${count} mounts`) : ok(`${count} mounts`);
}
