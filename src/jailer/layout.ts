import { WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import { type HostPath, type JailPath, toHostPath } from "../vm/path.ts";
import type { JailLayout } from "../vm/record.ts";

/** `sun_path` holds 108 bytes with its NUL. */
const SOCKET_PATH_MAX_BYTES = 107;

/** Names in the jail that are the manager's own; a user's assets get others. */
export const jailNames = Object.freeze({
  config: "/io/config" as JailPath,
  log: "/io/log" as JailPath,
  metrics: "/io/metrics" as JailPath,
});

/**
 * Where everything of one jail lies: what the jailer makes (`<base>/<exec>/<id>/root`) and what Warder adds beside it.
 *
 * @param base - Directory of all jails, symbolic links resolved, as the jailer resolves them.
 * @param firecracker - Firecracker's binary, symbolic links resolved: its name becomes a level of every path.
 * @throws {@link WarderError} `socket-path-too-long`, `invalid-argument` for an id that is the binary's name.
 */
export function layOut(base: HostPath, firecracker: HostPath, id: VmId, apiSocket: JailPath): JailLayout {
  const execName = firecracker.slice(firecracker.lastIndexOf("/") + 1);
  refuseExecName(id, execName);
  const directory = toHostPath(`${base}/${execName}/${id}`);
  const root = toHostPath(`${directory}/root`);
  const layout: JailLayout = {
    id,
    base,
    execName,
    directory,
    root,
    io: toHostPath(`${directory}/io`),
    alias: toHostPath(`${base}/${id}`),
    socket: toHostPath(`${root}${apiSocket}`),
    apiSocket,
  };
  refuseLongSocket(layout);
  return Object.freeze(layout);
}

/** The one way from a path inside a jail to the host's name for it. */
export function hostPathOf(layout: JailLayout, path: JailPath): HostPath {
  return toHostPath(`${layout.root}${path}`);
}

/** `<base>/<id>` is a link to the jail, and would meet the directory of all jails of that binary. */
function refuseExecName(id: VmId, execName: string): void {
  if (id !== execName) return;
  throw new WarderError("invalid-argument", {
    doing: `planning the jail of ${id}`,
    why: "the id is the name of Firecracker's file, which is a directory beside it",
    cure: "Use another id",
    fields: [{ field: "id", problem: `must not be ${execName}` }],
  });
}

function refuseLongSocket(layout: JailLayout): void {
  const length = Buffer.byteLength(layout.socket);
  if (length <= SOCKET_PATH_MAX_BYTES) return;
  const over = length - SOCKET_PATH_MAX_BYTES;
  throw new WarderError("socket-path-too-long", {
    doing: `planning the jail of ${layout.id}`,
    why: `its API socket ${layout.socket} would have ${length} bytes, ${over} more than a Unix socket's path can have`,
    cure: `Make the id, the chroot base or Firecracker's file name ${over} bytes shorter`,
  });
}

/**
 * Where everything of an unjailed VM lies: in the state directory, its API socket where it was asked for on the host.
 * `{id}` in the socket's path stands for the id.
 */
export function layOutUnjailed(stateDir: HostPath, firecracker: HostPath, id: VmId, socket: string): JailLayout {
  const directory = toHostPath(`${stateDir}/unjailed/${id}`);
  const layout: JailLayout = {
    id,
    base: toHostPath(`${stateDir}/unjailed`),
    execName: firecracker.slice(firecracker.lastIndexOf("/") + 1),
    directory,
    root: directory,
    io: toHostPath(`${directory}/io`),
    alias: directory,
    socket: toHostPath(socket.replaceAll("{id}", id)),
    apiSocket: toHostPath(socket.replaceAll("{id}", id)) as string as JailPath,
  };
  refuseLongSocket(layout);
  return Object.freeze(layout);
}
