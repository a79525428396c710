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
  const isV6 = connection.remoteAddress.includes(":");
  const table = host.files.readText(`${host.roots.proc}/net/${isV6 ? "tcp6" : "tcp"}`, TABLE_MAX_BYTES);
  const found = uidsOf(table, connection);
  return found.length === 1 ? found[0] : undefined;
}

/** Users of the standing connections between these two ends, as seen from the other one. */
export function uidsOf(table: string, { localAddress, localPort, remoteAddress, remotePort }: Connection): number[] {
  const theirs = endOf(remoteAddress, remotePort);
  const ours = endOf(localAddress, localPort);
  return table.split("\n").flatMap((line) => {
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
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1];
  if (mapped !== undefined) return Buffer.concat([Buffer.from("00000000000000000000ffff", "hex"), bytesOf(mapped)]);
  if (address === "::1") return Buffer.from(`${"00".repeat(15)}01`, "hex");
  return Buffer.from(address.split(".").map(Number));
}
