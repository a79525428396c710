import { connect } from "node:net";
import type { Host } from "../../host/host.ts";
import { WarderError } from "../../vm/error.ts";

/** Who may open a socket: its owner, and the group where there is one. */
const MODE = 0o660;
const MODE_WITHOUT_GROUP = 0o600;

/** A socket that is not there for anybody yet, and the way to have it be. */
export interface SocketFile extends AsyncDisposable {
  /** Where to listen. */
  readonly path: string;
  /** Puts the socket, which is listened on, into its place, for its group. One that nobody listens on gives way. */
  publish(gid: number | undefined): Promise<void>;
}

/**
 * Prepares a socket's place. It is listened on in a directory of its own first, so that at no moment anybody can open it
 * who may not, and put into its place in one step, so that at no moment there is none.
 *
 * @throws {@link WarderError} `door-unusable` where another process listens there.
 */
export async function prepareSocketFile(
  host: Pick<Host, "files" | "fifos" | "processes">,
  path: string,
): Promise<SocketFile> {
  const { files, fifos } = host;
  const parent = path.slice(0, path.lastIndexOf("/")) || "/";
  try {
    if (await isListenedOn(path)) throw inUse(path);
    files.ensureDirectory(parent, { mode: 0o755 });
    const aside = `${parent}/.${path.slice(path.lastIndexOf("/") + 1)}-${host.processes.self.pid}`;
    await files.removeTree(aside);
    files.makeDirectory(aside, { mode: 0o700 });
    const own = `${aside}/socket`;
    let published: number | undefined;
    return {
      path: own,
      async publish(gid) {
        const group = gid === undefined ? {} : { uid: host.processes.effectiveUid, gid };
        fifos.setOwnership(own, { mode: gid === undefined ? MODE_WITHOUT_GROUP : MODE, ...group });
        published = files.inspect(own)?.inode;
        files.rename(own, path);
        await files.removeTree(aside);
      },
      async [Symbol.asyncDispose]() {
        await files.removeTree(aside);
        // Another daemon's, which came meanwhile, stays.
        if (published !== undefined && files.inspect(path)?.inode === published) files.removeFile(path);
      },
    };
  } catch (error) {
    throw WarderError.from(error, "door-unusable", `making the socket ${path}`);
  }
}

function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const answer = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once("connect", () => answer(true)).once("error", () => answer(false));
  });
}

function inUse(path: string): WarderError {
  return new WarderError("door-unusable", {
    doing: `making the socket ${path}`,
    why: "another process listens on it",
    cure: "End that one, or name another socket",
  });
}
