import type { Host } from "../host/host.ts";
import { nodeDirectory } from "../jailer/jail.ts";
import { networksDirectory } from "../network/named-networks.ts";
import type { HostPath } from "../vm/path.ts";

/**
 * Removes what processes that died while they wrote have left: drafts of files that were to take another's place, each
 * named after its process.
 */
export function removeAbandonedDrafts(host: Host, stateDir: HostPath, chrootBase: HostPath): void {
  const replaced = /\.new-(\d+)$/;
  const vms = listed(host, `${stateDir}/vms`).map((name) => `${stateDir}/vms/${name}`);
  removeDrafts(host, stateDir, replaced);
  removeDrafts(host, networksDirectory(stateDir), replaced);
  removeDrafts(host, nodeDirectory(chrootBase), /^(?:null|zero)\.(\d+)$/);
  for (const directory of vms) removeDrafts(host, directory, /^record\.json\.(\d+)$/);
}

function removeDrafts(host: Host, directory: string, pattern: RegExp): void {
  for (const name of listed(host, directory)) {
    const pid = pattern.exec(name)?.[1];
    if (pid === undefined || host.processes.identify(Number(pid)) !== undefined) continue;
    host.files.removeFile(`${directory}/${name}`);
  }
}

function listed(host: Host, directory: string): string[] {
  return host.files.inspect(directory)?.kind === "directory" ? host.files.list(directory) : [];
}
