import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { createServer, type Server } from "node:net";
import { describe, test } from "node:test";
import { connectOwned } from "../../src/host/real/connect.ts";
import { systemCodeOf } from "../../src/vm/error.ts";
import { toHostPath } from "../../src/vm/path.ts";
import { requires } from "../support/capability.ts";

const JAIL_USER = 61_234;

/** Puts a link to the decoy and the real socket in place of each other as fast as it can. */
const SWAPPER = `
  const fs = require("node:fs");
  const [jail, decoy] = process.argv.slice(1);
  for (;;) {
    fs.symlinkSync(decoy, jail + "/link");
    fs.renameSync(jail + "/link", jail + "/v.sock");
    fs.linkSync(jail + "/real", jail + "/again");
    fs.renameSync(jail + "/again", jail + "/v.sock");
  }`;

async function serve(path: string, onConnection: () => void): Promise<Server> {
  const server = createServer((socket) => {
    onConnection();
    socket.end();
  });
  await once(server.listen(path), "listening");
  return server;
}

async function stop(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

test("however fast a jail swaps its socket for a link, nobody else is connected to", requires("root"), async () => {
  const top = fs.mkdtempSync("/var/tmp/warder-streams-");
  const [jail, own, decoy] = [`${top}/jail`, `${top}/own`, `${top}/decoy`];
  fs.mkdirSync(jail);
  fs.mkdirSync(own);
  let fooled = 0;
  const servers = [await serve(`${jail}/real`, () => undefined), await serve(decoy, () => fooled++)];
  fs.chownSync(`${jail}/real`, JAIL_USER, JAIL_USER);
  fs.linkSync(`${jail}/real`, `${jail}/v.sock`);
  const swapper = spawn(process.execPath, ["-e", SWAPPER, jail, decoy], { stdio: "ignore" });
  try {
    const met = new Map<string, number>();
    for (let round = 0; round < 5_000 || !met.has("stranger"); round++) {
      assert.ok(round < 100_000, "the swapper never got in between");
      const how = await attempt(jail, own);
      met.set(how, (met.get(how) ?? 0) + 1);
    }
    assert.equal(fooled, 0);
    // ENOENT: what was looked up had been replaced by the time it was linked (link(2)).
    assert.deepEqual([...met.keys()].filter((how) => how !== "ENOENT").sort(), ["connected", "stranger"]);
    assert.deepEqual(fs.readdirSync(own), []);
  } finally {
    await stop(swapper);
    for (const server of servers) server.close();
    fs.rmSync(top, { recursive: true });
  }
});

async function attempt(jail: string, own: string): Promise<string> {
  const socket = { path: toHostPath(`${jail}/v.sock`), owner: JAIL_USER, through: toHostPath(own) };
  try {
    const stream = await connectOwned(socket, AbortSignal.timeout(5_000));
    stream.destroy();
    return "connected";
  } catch (error) {
    return systemCodeOf(error) ?? "stranger";
  }
}

describe("an owned socket", requires("root"), () => {
  test("that is another user's is not connected to, by root neither", async () => {
    const top = fs.mkdtempSync("/var/tmp/warder-streams-");
    const server = await serve(`${top}/s`, () => assert.fail("it was connected to"));
    const socket = { path: toHostPath(`${top}/s`), owner: JAIL_USER, through: toHostPath(top) };
    await assert.rejects(connectOwned(socket, AbortSignal.timeout(5_000)), /user 0 has put a socket there/);
    server.close();
    fs.rmSync(top, { recursive: true });
  });
});
