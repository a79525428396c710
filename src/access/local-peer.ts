import type { Host } from "../host/host.ts";

/** The two ends of a TCP connection, as this process's socket names them. */
export interface Connection {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/** `TCP_ESTABLISHED` of the kernel's include/net/tcp_states.h. */
const ESTABLISHED = "01";

/** A row takes 150 bytes: room for two hundred thousand connections. */
const TABLE_MAX_BYTES = 32 * 1024 * 1024;

/**
 * The user whose process is at the other end of a loopback connection, from the kernel's table of connections: the row of
 * which both ends are ours turned round. Only rows of connections that stand are believed: the kernel says root of those
 * whose process is gone, and so does it of rows without an inode.
 *
 * @returns `undefined` where the kernel does not tell, or tells more than one.
 */
export function localPeerUid(host: Pick<Host, "files" | "roots">, connection: Connection): number | undefined {
  for (const [table, ends] of placesOf(connection)) {
    const [uid, ...others] = uidsOf(host.files.readText(`${host.roots.proc}/net/${table}`, TABLE_MAX_BYTES), ends);
    if (uid !== undefined) return others.length === 0 ? uid : undefined;
  }
  return undefined;
}

/** Users at the other ends of connections: a socket's never changes, and the kernel takes milliseconds to tell it. */
export class LocalPeers {
  readonly #host: Pick<Host, "files" | "roots">;
  readonly #known = new WeakMap<Connection, number>();

  constructor(host: Pick<Host, "files" | "roots">) {
    this.#host = host;
  }

  /**
   * See {@link localPeerUid}.
   *
   * @param connection - The same object for the same connection.
   */
  uidOf(connection: Connection): number | undefined {
    const known = this.#known.get(connection);
    if (known !== undefined) return known;
    const uid = localPeerUid(this.#host, connection);
    if (uid !== undefined) this.#known.set(connection, uid);
    return uid;
  }
}

/**
 * Where the other end's row may be: a program that speaks IPv6 and was given an address of IPv4 has a socket of IPv6, as
 * has gRPC's own library, whatever ours is. Both are of one kind to the kernel: there are no two of the same ends.
 */
function placesOf(connection: Connection): readonly (readonly [table: "tcp" | "tcp6", ends: Connection])[] {
  const { localAddress, remoteAddress } = connection;
  const [local, remote] = [undressed(localAddress), undressed(remoteAddress)];
  if (local === undefined || remote === undefined) return [["tcp6", connection]];
  return [
    ["tcp", { ...connection, localAddress: local, remoteAddress: remote }],
    ["tcp6", { ...connection, localAddress: `::ffff:${local}`, remoteAddress: `::ffff:${remote}` }],
  ];
}

/** The address of IPv4, where it is one, also in the dress of IPv6. */
function undressed(address: string): string | undefined {
  return /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1];
}

/** Users of the standing connections between these two ends, as seen from the other one. */
export function uidsOf(table: string, { localAddress, localPort, remoteAddress, remotePort }: Connection): number[] {
  const theirs = endOf(remoteAddress, remotePort);
  const ours = endOf(localAddress, localPort);
  return table.split("\n").flatMap((line) => {
    // Each request comes here, on a host with thousands of connections perhaps: few rows are worth taking apart.
    if (!line.includes(theirs) || !line.includes(ours)) return [];
    const [, local, remote, state, , , , uid, , inode] = line.trim().split(/\s+/);
    const isTheirs = local === theirs && remote === ours && state === ESTABLISHED;
    return isTheirs && inode !== undefined && inode !== "0" ? [Number(uid)] : [];
  });
}

/** `0100007F:1F90`, as the kernel writes 127.0.0.1:8080 on a machine whose bytes go from low to high. */
function endOf(address: string, port: number): string {
  const bytes = bytesOf(address);
  const words: string[] = [];
  for (let index = 0; index < bytes.length; index += 4) {
    words.push(
      Buffer.from(bytes.subarray(index, index + 4))
        .reverse()
        .toString("hex"),
    );
  }
  return `${words.join("")}:${port.toString(16).padStart(4, "0")}`.toUpperCase();
}

/** Four bytes, or sixteen. Loopback has two addresses, and one of IPv4 in the dress of IPv6. */
function bytesOf(address: string): Buffer {
  const bare = undressed(address);
  if (bare !== undefined && bare !== address) {
    return Buffer.concat([Buffer.from("00000000000000000000ffff", "hex"), bytesOf(bare)]);
  }
  if (address === "::1") return Buffer.from(`${"00".repeat(15)}01`, "hex");
  return Buffer.from(address.split(".").map(Number));
}
