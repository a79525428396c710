import { type Claim, claim, everyThread } from "./claim.ts";
import type { ThreadFacts } from "./facts.ts";
import { parseList } from "./proc-text.ts";
import type { LimitRule, WantedIsolation, WantedLimit } from "./wanted.ts";

/** Controllers that every VM has of its own: without them it would use up its manager's. */
const ALWAYS = ["memory", "cpu", "pids"];

/** Sizes of a page on the machines that Firecracker runs on. */
const PAGE_SIZES = [4096, 16_384, 65_536];

/** Membership of every thread in the VM's own cgroup, controller by controller, and each value as the kernel keeps it. */
export function cgroupClaims(wanted: WantedIsolation): Claim[] {
  const controllers = new Set([...ALWAYS, ...Object.keys(wanted.cgroup?.directories ?? {})]);
  return [
    ...[...controllers].map((controller) => membershipClaim(wanted, controller)),
    ...wanted.limits.map(limitClaim),
  ];
}

/**
 * Two looks, which only together prove it. The directory's `cgroup.procs` says where the process is, in a place that is
 * the manager's own beyond doubt, but not whether all its threads are there (v1 moves threads one by one). The paths in
 * `/proc` say it of each thread, but begin with whatever lies above the part of the hierarchy that is mounted here.
 */
function membershipClaim({ cgroup }: WantedIsolation, controller: string): Claim {
  const wanted = cgroup?.path ?? "one of its own";
  // Without a cgroup of its own the version is unknown, and whichever path there is is shared with others.
  const pathOf = ({ cgroups }: ThreadFacts) => (cgroup?.version === 2 ? undefined : cgroups[controller]) ?? cgroups[""];
  return claim(`cgroup.${controller}`, wanted, ["threads", "cgroupMembership"], ({ threads, cgroupMembership }) => {
    const [main] = threads.read;
    const { found, ok } = everyThread(
      threads,
      (thread) => pathOf(thread) ?? "none",
      (thread) =>
        cgroup !== undefined && isBelow(pathOf(thread), cgroup.path) && pathOf(thread) === pathOf(main ?? thread),
    );
    if (!ok || cgroupMembership[controller] === true) return { found, ok };
    return { found: `${found}, whose cgroup.procs does not list it`, ok: false };
  });
}

/** Whether a path ends in the VM's own, which begins with a slash. */
function isBelow(path: string | undefined, own: string): boolean {
  return path?.endsWith(own) === true;
}

function limitClaim({ name, wanted, rule }: WantedLimit): Claim {
  return claim(`limit.${name}`, wanted, ["limits"], ({ limits }) => {
    const text = limits[name];
    if (text === undefined) return { found: "not set", ok: false };
    const value = rule === "line" ? lineOf(text, wanted) : words(text).join(" ");
    return { found: value || "empty", ok: comparisons[rule](wanted, value) };
  });
}

const comparisons: Readonly<Record<LimitRule, (wanted: string, found: string) => boolean>> = {
  exact: (wanted, found) => words(wanted).join(" ") === found,
  pages: (wanted, found) => wanted === found || isRoundedToPages(wanted, found),
  list: (wanted, found) => parseList(wanted) !== undefined && String(parseList(wanted)) === String(parseList(found)),
  line: (wanted, found) => words(wanted).every((word) => words(found).includes(word)),
};

/** The line of a device: the one with the same first word. */
function lineOf(text: string, wanted: string): string {
  const [device] = words(wanted);
  return text.split("\n").find((line) => words(line)[0] === device) ?? "";
}

function isRoundedToPages(wanted: string, found: string): boolean {
  if (!/^\d+$/.test(wanted) || !/^\d+$/.test(found)) return false;
  const asked = BigInt(wanted);
  return PAGE_SIZES.some((size) => asked - (asked % BigInt(size)) === BigInt(found));
}

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
