import type { Host } from "../host/host.ts";
import type { VmId } from "../vm/id.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";

/** Where the sockets of one VM lie, and whose they are. */
export interface VsockPlace {
  readonly id: VmId;
  /** The VM's directory, outside what its process can see. */
  readonly directory: HostPath;
  /** What its process sees as `/`, and can change at will. */
  readonly root: HostPath;
  /** Who its process is. */
  readonly uid: number;
  readonly gid: number;
}

/** Firecracker's own socket, in the root of the jail, where no part of the way to it is the jailed process's to change. */
export const VSOCK_SOCKET_NAME = "v.sock";

/** The manager's sockets, by their port: beside the jail, where nobody but root gets. The name is short for their paths. */
export function socketDirectory({ directory }: VsockPlace): HostPath {
  return toHostPath(`${directory}/v`);
}

/** Firecracker's own socket, as the host sees it. */
export function guestSocket({ root }: VsockPlace): HostPath {
  return toHostPath(`${root}/${VSOCK_SOCKET_NAME}`);
}

/** Where Firecracker looks for whoever listens on a port of the host's. */
export function portSocket(place: VsockPlace, port: number): HostPath {
  return toHostPath(`${guestSocket(place)}_${port}`);
}

/** Makes the directory of the manager's sockets, which nobody else may enter. Idempotent. */
export function ensureSocketDirectory(host: Host, place: VsockPlace): void {
  host.files.ensureDirectory(socketDirectory(place), { mode: 0o700 });
}
