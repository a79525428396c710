import assert from "node:assert/strict";
import { once } from "node:events";
import * as fs from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { after, describe, test } from "node:test";
import { isWarderError } from "../../vm/error.ts";
import { type HostPath, toHostPath } from "../../vm/path.ts";
import { connect, connectOwned } from "./connect.ts";
import { listen } from "./listen.ts";

const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const signal = new AbortController().signal;
const top = fs.mkdtempSync(join(tmpdir(), "warder-streams-"));
after(() => fs.rmSync(top, { recursive: true }));

/** A directory whose path is far longer than a socket's may be. */
function deepDirectory(): HostPath {
  const path = join(fs.mkdtempSync(join(top, "x")), "deep".repeat(30));
  fs.mkdirSync(path);
  return toHostPath(path);
}

/** All that comes until the other side has ended; this side has not. */
async function heard(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => void chunks.push(chunk)).resume();
  await once(stream, "end");
  return Buffer.concat(chunks).toString();
}

/** Listens; each connection is answered with what it says, once it has said all. */
async function echo(directory: HostPath, name: string, mode = 0o600) {
  const onConnection = (stream: Duplex) => void heard(stream).then((said) => stream.end(`heard ${said}`));
  return listen({ directory, name, ownership: { mode, ...own }, onConnection });
}

async function ask(stream: Duplex, question: string): Promise<string> {
  stream.end(question);
  return heard(stream);
}

describe("listen() and connectOwned()", () => {
  test("meet under a path of any length, and each direction ends by itself", async () => {
    const directory = deepDirectory();
    const listening = await echo(directory, "socket", 0o640);
    const path = toHostPath(`${directory}/socket`);
    assert.equal(fs.statSync(path).mode & 0o777, 0o640);
    const through = deepDirectory();
    const stream = await connectOwned({ path, owner: own.uid, through }, signal);
    assert.equal(await ask(stream, "this"), "heard this");
    assert.deepEqual(fs.readdirSync(through), []);
    listening.close();
    assert.deepEqual(fs.readdirSync(directory), []);
  });

  test("a connection goes on when nobody listens any more", async () => {
    const directory = deepDirectory();
    const listening = await echo(directory, "socket");
    const path = toHostPath(`${directory}/socket`);
    const stream = await connectOwned({ path, owner: own.uid, through: directory }, signal);
    listening.close();
    assert.equal(await ask(stream, "that"), "heard that");
    await assert.rejects(connectOwned({ path, owner: own.uid, through: directory }, signal), /ENOENT/);
  });

  test("a name that is taken is left alone", async () => {
    const directory = deepDirectory();
    fs.writeFileSync(`${directory}/socket`, "somebody's");
    await assert.rejects(echo(directory, "socket"), /EADDRINUSE/);
    assert.equal(fs.readFileSync(`${directory}/socket`, "utf8"), "somebody's");
  });

  test("nobody is connected to who does not own the socket, and nothing that is no socket", async () => {
    const directory = deepDirectory();
    const listening = await echo(directory, "socket");
    fs.symlinkSync(`${directory}/socket`, `${directory}/link`);
    fs.writeFileSync(`${directory}/file`, "");
    const reach = (name: string, owner: number) =>
      connectOwned({ path: toHostPath(`${directory}/${name}`), owner, through: directory }, signal);
    const isStranger = (error: unknown) => isWarderError(error) && error.code === "process-stranger";
    await assert.rejects(reach("socket", own.uid + 1), isStranger);
    await assert.rejects(reach("link", own.uid), isStranger);
    await assert.rejects(reach("file", own.uid), isStranger);
    await assert.rejects(reach("nothing", own.uid), /ENOENT/);
    assert.deepEqual(fs.readdirSync(directory), ["file", "link", "socket"]);
    listening.close();
  });

  test("a socket that nobody serves any more refuses", async () => {
    const directory = deepDirectory();
    const listening = await echo(directory, "socket");
    fs.linkSync(`${directory}/socket`, `${directory}/stale`);
    listening.close();
    const socket = { path: toHostPath(`${directory}/stale`), owner: own.uid, through: directory };
    await assert.rejects(connectOwned(socket, signal), /ECONNREFUSED/);
    assert.deepEqual(fs.readdirSync(directory), ["stale"]);
  });
});

describe("connect()", () => {
  test("reaches a service by TCP and by a Unix socket", async () => {
    const directory = toHostPath(fs.mkdtempSync(join(top, "u")));
    const listening = await echo(directory, "s");
    assert.equal(await ask(await connect({ unix: toHostPath(`${directory}/s`) }, signal), "unix"), "heard unix");
    listening.close();
    const server = createServer({ allowHalfOpen: true }, (socket) => void socket.end("tcp"));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as { port: number };
    assert.equal(await ask(await connect({ tcp: { host: "127.0.0.1", port } }, signal), ""), "tcp");
    server.close();
    await assert.rejects(connect({ tcp: { host: "127.0.0.1", port } }, signal), /ECONNREFUSED/);
  });

  test("is given up with its signal", async () => {
    const gone = AbortSignal.abort(new Error("enough"));
    await assert.rejects(connect({ tcp: { host: "127.0.0.1", port: 1 } }, gone), /enough/);
    const caller = new AbortController();
    const attempt = connect({ tcp: { host: "127.0.0.1", port: 1 } }, caller.signal);
    caller.abort(new Error("meanwhile"));
    await assert.rejects(attempt, /meanwhile/);
  });
});
