import { ANYTHING, type Claim, claim, everyThread, report } from "./claim.ts";
import type { CapabilitySets, ResourceLimit, ThreadFacts } from "./facts.ts";
import { parseList } from "./proc-text.ts";
import type { WantedIsolation } from "./wanted.ts";

const FILTERED = "2";

/** Who the threads are and what they may: asked of every thread, in both phases. */
export function credentialClaims({ jail }: WantedIsolation): Claim[] {
  return [
    ownerClaim("uid", jail?.uid, (thread) => thread.uids),
    ownerClaim("gid", jail?.gid, (thread) => thread.gids),
    claim("groups", "none", ["threads"], ({ threads }) =>
      everyThread(
        threads,
        (thread) => absent(thread.groups),
        (thread) => thread.groups === "",
      ),
    ),
    claim("capabilities", "none", ["threads"], ({ threads }) =>
      everyThread(
        threads,
        ({ capabilities }) => describeSets(capabilities),
        ({ capabilities }) => areEmpty(capabilities),
      ),
    ),
  ];
}

/** What Firecracker adds itself when the guest is about to run: on every thread, or it proves nothing. */
export function filterClaims({ vcpus }: WantedIsolation): Claim[] {
  return [
    threadsClaim(vcpus),
    claim("seccomp", `mode ${FILTERED} on every thread`, ["threads"], ({ threads }) =>
      everyThread(
        threads,
        ({ seccomp }) => `mode ${seccomp ?? "absent"}`,
        ({ seccomp }) => seccomp === FILTERED,
      ),
    ),
    claim("no-new-privs", "1 on every thread", ["threads"], ({ threads }) =>
      everyThread(
        threads,
        ({ noNewPrivs }) => noNewPrivs ?? "absent",
        ({ noNewPrivs }) => noNewPrivs === "1",
      ),
    ),
  ];
}

/**
 * That the threads which run the guest and answer the API were among those that were looked at. They end before the
 * process does when the guest ends, so where one is missing there is nothing wrong, and nothing proven either.
 */
function threadsClaim(vcpus: number): Claim {
  return claim("threads", `fc_api and ${vcpus} fc_vcpu`, ["threads"], ({ threads: { read, skipped } }) => {
    const names = read.map((thread) => thread.name);
    const running = names.filter((name) => /^fc_vcpu \d+$/.test(name)).length;
    const isTooMany = running > vcpus || skipped > 0;
    if (!isTooMany && (running < vcpus || !names.includes("fc_api"))) return undefined;
    return { found: names.join(", "), ok: !isTooMany };
  });
}

/** What the process was started with. */
export function startClaims(wanted: WantedIsolation): Claim[] {
  return [
    claim("environment", "empty", ["environment"], ({ environment }) => ({
      found: environment.length === 0 ? "empty" : environment.join(", "),
      ok: environment.length === 0,
    })),
    commandLineClaim(wanted.id),
    claim("mac-label", wanted.label ?? ANYTHING, ["label"], ({ label }) => ({
      found: label ?? "none",
      ok: wanted.label === undefined || label === wanted.label,
    })),
    cpusClaim(wanted.cpus),
    resourceClaim("limit.open-files", wanted.openFiles, ({ openFiles }) => openFiles),
    resourceClaim("limit.file-size", wanted.fileSizeBytes, ({ fileSize }) => fileSize),
    resourceClaim("limit.core-size", undefined, ({ coreSize }) => coreSize),
    report("bounding-capabilities", ["threads"], ({ threads }) => absent(threads.read[0]?.capabilities.bounding)),
    report("umask", ["threads"], ({ threads }) => absent(threads.read[0]?.umask)),
  ];
}

function ownerClaim(name: string, id: number | undefined, ids: (thread: ThreadFacts) => string | undefined): Claim {
  // Without the jailer nobody changed the user: it is the manager's, whoever that is.
  const wanted = id === undefined ? "one of its own" : [id, id, id, id].join(" ");
  return claim(name, wanted, ["threads"], ({ threads }) =>
    everyThread(
      threads,
      (thread) => absent(ids(thread)),
      (thread) => ids(thread) === wanted,
    ),
  );
}

/** `--id` tells this VM's Firecracker from another's; `--no-seccomp` is caught here before a guest has run. */
function commandLineClaim(id: string): Claim {
  return claim("command-line", `--id ${id}, filters on`, ["commandLine"], ({ commandLine }) => {
    const position = commandLine.indexOf("--id");
    const found = position < 0 ? "no --id" : `--id ${commandLine[position + 1] ?? ""}`;
    const isFiltered = !commandLine.includes("--no-seccomp");
    return {
      found: `${found}, ${isFiltered ? "filters on" : "--no-seccomp"}`,
      ok: isFiltered && position > 0 && commandLine[position + 1] === id,
    };
  });
}

function cpusClaim(wanted: string | undefined): Claim {
  const list = wanted === undefined ? undefined : parseList(wanted)?.join(",");
  return claim("cpus", wanted ?? ANYTHING, ["threads"], ({ threads }) =>
    everyThread(
      threads,
      ({ cpus }) => absent(cpus),
      ({ cpus }) => wanted === undefined || (list !== undefined && parseList(cpus ?? "")?.join(",") === list),
    ),
  );
}

function resourceClaim(
  name: string,
  wanted: number | undefined,
  select: (limits: { openFiles: ResourceLimit; fileSize: ResourceLimit; coreSize: ResourceLimit }) => ResourceLimit,
): Claim {
  return claim(name, wanted === undefined ? ANYTHING : String(wanted), ["resourceLimits"], ({ resourceLimits }) => {
    const { soft, hard } = select(resourceLimits);
    const isWanted = soft === String(wanted) && hard === String(wanted);
    return { found: soft === hard ? soft : `${soft} soft, ${hard} hard`, ok: wanted === undefined || isWanted };
  });
}

/** The bounding set is left out: the jailer does not reduce it, and without privileges nothing can be had out of it. */
function mattering(sets: CapabilitySets): [string, string | undefined][] {
  const { inheritable, permitted, effective, ambient } = sets;
  return Object.entries({ inheritable, permitted, effective, ambient });
}

function areEmpty(sets: CapabilitySets): boolean {
  return mattering(sets).every(([, mask]) => mask !== undefined && /^0+$/.test(mask));
}

function describeSets(sets: CapabilitySets): string {
  if (areEmpty(sets)) return "none";
  return mattering(sets)
    .filter(([, mask]) => mask === undefined || !/^0+$/.test(mask))
    .map(([name, mask]) => `${name} ${absent(mask)}`)
    .join(", ");
}

function absent(text: string | undefined): string {
  return text === undefined ? "absent" : text === "" ? "none" : text;
}
