import { type Claim, claim } from "./claim.ts";
import { type FileIdentity, isSameFile, type WantedIsolation } from "./wanted.ts";

/** Where the process is: root, directory, program, mounts and namespaces. */
export function jailClaims(wanted: WantedIsolation): Claim[] {
  return [
    rootClaim(wanted),
    workingDirectoryClaim(wanted),
    executableClaim(wanted),
    mountsClaim(),
    mountNamespaceClaim(),
    networkNamespaceClaim(wanted),
    pidNamespaceClaim(wanted),
  ];
}

function rootClaim({ jail }: WantedIsolation): Claim {
  const wanted = jail?.root ?? "a directory of its own";
  return claim("root", wanted, ["root"], ({ root }) => {
    if (isSameFile(root.process, root.host)) return { found: "the host's", ok: false };
    if (!isSameFile(root.process, jail?.rootIdentity)) return { found: another(root.process), ok: false };
    const isInPlace = isSameFile(root.process, root.path);
    return { found: isInPlace ? wanted : `${wanted}, in whose place something else lies now`, ok: isInPlace };
  });
}

/** A directory outside the root is a way out of it: `..` from there leads to the host's. The jailer leaves the root. */
function workingDirectoryClaim({ jail }: WantedIsolation): Claim {
  const wanted = jail === undefined ? "in a jail" : "/ of the jail";
  return claim("working-directory", wanted, ["workingDirectory"], ({ workingDirectory }) => {
    const isRoot = isSameFile(workingDirectory, jail?.rootIdentity);
    return { found: isRoot ? wanted : another(workingDirectory), ok: isRoot };
  });
}

function executableClaim({ jail }: WantedIsolation): Claim {
  const wanted = jail === undefined ? "the jail's own copy" : `/${jail.execName} of the jail`;
  return claim("executable", wanted, ["executable"], ({ executable }) => {
    const isOwn = isSameFile(executable.process, executable.copy);
    return { found: isOwn ? wanted : another(executable.process), ok: isOwn };
  });
}

/** One mount: no `/proc`, no bind mount that was forgotten, nothing of the host's. */
function mountsClaim(): Claim {
  return claim("mounts", "/", ["mounts"], ({ mounts }) => {
    const more = mounts.length > 8 ? ` and ${mounts.length - 8} more` : "";
    return { found: mounts.slice(0, 8).join(", ") + more || "none", ok: mounts.length === 1 && mounts[0] === "/" };
  });
}

function mountNamespaceClaim(): Claim {
  return claim("mount-namespace", "its own", ["namespaces", "managerNamespaces"], (facts) => {
    const isOwn = !isSameFile(facts.namespaces.mount, facts.managerNamespaces.mount);
    return { found: isOwn ? "its own" : "the host's", ok: isOwn };
  });
}

function networkNamespaceClaim({ netns }: WantedIsolation): Claim {
  const wanted = netns ?? "the host's";
  return claim("network-namespace", wanted, ["namespaces", "managerNamespaces", "askedNetns"], (facts) => {
    const { network } = facts.namespaces;
    const isHosts = isSameFile(network, facts.managerNamespaces.network);
    const isAsked = isSameFile(network, facts.askedNetns);
    // The host's own namespace is no isolation, even where its file was asked for by mistake.
    if (netns !== undefined && isAsked && !isHosts) return { found: netns, ok: true };
    return { found: isHosts ? "the host's" : `another, ${network.inode}`, ok: netns === undefined && isHosts };
  });
}

function pidNamespaceClaim({ newPidNamespace }: WantedIsolation): Claim {
  const wanted = newPidNamespace ? "its own, as process 1" : "the host's";
  return claim("pid-namespace", wanted, ["namespaces", "managerNamespaces", "threads"], (facts) => {
    const isHosts = isSameFile(facts.namespaces.pid, facts.managerNamespaces.pid);
    const pids = facts.threads.read[0]?.namespacePids?.split(" ") ?? [];
    const found = isHosts ? "the host's" : `its own, as process ${pids.at(-1) ?? "unknown"}`;
    const isNested = pids.length > 1;
    return { found, ok: found === wanted && isNested === newPidNamespace };
  });
}

/** What a name would not tell. */
function another({ device, inode }: FileIdentity): string {
  return `another, inode ${inode} of device ${device}`;
}
