import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { type Connection, LocalPeers, localPeerUid, uidsOf } from "./local-peer.ts";

const connection: Connection = {
  localAddress: "127.0.0.1",
  localPort: 8080,
  remoteAddress: "127.0.0.1",
  remotePort: 40000,
};
const heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const row = (local: string, remote: string, state: string, uid: number, inode: number) =>
  `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000  ${uid}        0 ${inode} 1 0000 20 4 30 10 -1`;
const ours = row("0100007F:1F90", "0100007F:9C40", "01", 0, 11);

describe("the kernel's table", () => {
  test("tells whose process is at the other end", () => {
    const theirs = row("0100007F:9C40", "0100007F:1F90", "01", 1000, 12);
    assert.deepEqual(uidsOf([heading, ours, theirs].join("\n"), connection), [1000]);
  });

  test("is not believed of connections whose process is gone, of which it says root", () => {
    for (const [state, inode] of [
      ["04", 12],
      ["05", 12],
      ["06", 0],
      ["08", 12],
      ["01", 0],
    ] as const) {
      const theirs = row("0100007F:9C40", "0100007F:1F90", state, 0, inode);
      assert.deepEqual(uidsOf([heading, ours, theirs].join("\n"), connection), []);
    }
  });

  test("is read for IPv6, and for IPv4 in the dress of IPv6", () => {
    const one = "00000000000000000000000001000000";
    const v6 = { ...connection, localAddress: "::1", remoteAddress: "::1" };
    assert.deepEqual(uidsOf(row(`${one}:9C40`, `${one}:1F90`, "01", 7, 9), v6), [7]);
    const dressed = "0000000000000000FFFF00000100007F";
    const mapped = { ...connection, localAddress: "::ffff:127.0.0.1", remoteAddress: "::ffff:127.0.0.1" };
    assert.deepEqual(uidsOf(row(`${dressed}:9C40`, `${dressed}:1F90`, "01", 8, 9), mapped), [8]);
  });

  test("of any text is no reason to fall over", () => {
    for (const text of ["", "\n\n", heading, "a b c", `${"x ".repeat(30)}`]) {
      assert.deepEqual(uidsOf(text, connection), []);
    }
  });
});

/** A connection to this process, as its accepting end sees it. */
async function connected(context: TestContext, host: string, as = host): Promise<Connection> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, as);
  const [accepted] = (await once(server, "connection")) as [Socket];
  context.after(() => {
    client.destroy();
    server.close();
  });
  const { localAddress, localPort, remoteAddress, remotePort } = accepted;
  if (!localAddress || !localPort || !remoteAddress || !remotePort) assert.fail("no ends");
  return { localAddress, localPort, remoteAddress, remotePort };
}

const thisHost = {
  roots: { proc: "/proc", sys: "/sys", dev: "/dev" },
  files: { readText: (path: string) => readFileSync(path, "utf8") },
} as unknown as Parameters<typeof localPeerUid>[0];

describe("a real connection is known for this process's user", () => {
  for (const [door, as] of [
    ["127.0.0.1", "127.0.0.1"],
    // As gRPC's own library does it.
    ["127.0.0.1", "::ffff:127.0.0.1"],
    ["::ffff:127.0.0.1", "127.0.0.1"],
    ["::1", "::1"],
  ] as const) {
    test(`from ${as} to ${door}`, async (context) => {
      assert.equal(localPeerUid(thisHost, await connected(context, door, as)), process.getuid?.());
    });
  }
});

describe("users at the other ends of connections", () => {
  const hostWith = (rows: readonly string[]) => {
    const looks = { count: 0, rows };
    const files = {
      readText: () => {
        looks.count++;
        return [heading, ...looks.rows].join("\n");
      },
    };
    return { looks, peers: new LocalPeers({ files, roots: { proc: "/proc" } } as never) };
  };
  const theirs = row("0100007F:9C40", "0100007F:1F90", "01", 1000, 12);

  test("are asked for once for each connection", () => {
    const { looks, peers } = hostWith([ours, theirs]);
    assert.deepEqual([peers.uidOf(connection), peers.uidOf(connection)], [1000, 1000]);
    assert.equal(looks.count, 1);
    assert.equal(peers.uidOf({ ...connection }), 1000);
    assert.equal(looks.count, 2);
  });

  test("are asked for again where the kernel did not tell", () => {
    const { looks, peers } = hostWith([ours]);
    assert.equal(peers.uidOf(connection), undefined);
    looks.rows = [ours, theirs];
    assert.equal(peers.uidOf(connection), 1000);
  });
});
