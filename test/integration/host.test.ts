import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openHost } from "../../src/host/real/host.ts";
import { isWarderError } from "../../src/vm/error.ts";
import { toHostPath } from "../../src/vm/path.ts";
import { requires } from "../support/capability.ts";

const host = openHost(process.env.PATH);
const directory = fs.mkdtempSync(join(tmpdir(), "warder-host-"));
after(() => fs.rmSync(directory, { recursive: true, force: true }));
let count = 0;
const fresh = (): string => join(directory, String(++count));
const code = (wanted: string) => (error: unknown) => isWarderError(error) && error.code === wanted;

describe("files", () => {
  test("are inspected without following a link, unless asked", () => {
    const link = fresh();
    fs.symlinkSync("/etc/passwd", link);
    assert.equal(host.files.inspect(link)?.kind, "link");
    assert.equal(host.files.inspectFollowing(link)?.kind, "file");
    assert.equal(host.files.inspect(fresh()), undefined);
    assert.equal(host.files.inspect("/dev/null")?.deviceNumber, "1:3");
  });
  test("are read no further than asked, and a head not through a link", () => {
    const path = fresh();
    fs.writeFileSync(path, "x".repeat(100_000));
    assert.equal(host.files.readText(path, 20_000).length, 20_000);
    assert.equal(host.files.readText(path).length, 100_000);
    fs.symlinkSync(path, `${path}.link`);
    assert.throws(() => host.files.readHead(`${path}.link`, 4), /ELOOP/);
  });
  test("are written whole or not at all", () => {
    const path = fresh();
    host.files.writeText(path, "one", { mode: 0o640 });
    assert.equal(fs.statSync(path).mode & 0o777, 0o640);
    assert.throws(() => host.files.writeText(path, "two", { mode: 0o600 }), /EEXIST/);
    host.files.writeText(path, "three", { mode: 0o600, replace: true });
    assert.equal(fs.readFileSync(path, "utf8"), "three");
    assert.deepEqual(
      fs.readdirSync(directory).filter((name) => name.includes(".new-")),
      [],
    );
  });
  test("directories are made once, and something else in their place is named", () => {
    const path = fresh();
    assert.equal(host.files.ensureDirectory(path, { mode: 0o711 }), true);
    assert.equal(host.files.ensureDirectory(path, { mode: 0o700 }), false);
    assert.equal(fs.statSync(path).mode & 0o777, 0o711);
    const file = fresh();
    fs.writeFileSync(file, "");
    assert.throws(() => host.files.ensureDirectory(file, { mode: 0o700 }), code("jail-exists"));
  });
  test("removal says whether something was there", async () => {
    const path = fresh();
    fs.writeFileSync(path, "");
    assert.deepEqual([host.files.removeFile(path), host.files.removeFile(path)], [true, false]);
    assert.equal(await host.files.removeDirectory(path), false);
  });
  test("a copy has its own owner and mode, keeps holes, and follows no link", async () => {
    const from = fresh();
    const to = fresh();
    const data = Buffer.alloc(9 * 1024 * 1024);
    data.write("end", data.length - 3);
    fs.writeFileSync(from, data);
    await host.files.copy(from, to, { mode: 0o400 });
    assert.deepEqual(fs.readFileSync(to), data);
    assert.equal(fs.statSync(to).mode & 0o777, 0o400);
    assert.ok(fs.statSync(to).blocks * 512 < data.length / 2, "it has no holes");
    await assert.rejects(host.files.copy(from, to, { mode: 0o400 }), /EEXIST/);
    fs.symlinkSync(from, `${from}.link`);
    await assert.rejects(host.files.copy(`${from}.link`, fresh(), { mode: 0o400 }), /ELOOP/);
  });
  test("a bounded file that can not be written says so, and takes what comes", async () => {
    const file = host.files.openBounded("/nowhere/file", 100);
    file.append(Buffer.from("x"));
    await file.close();
    file.append(Buffer.from("y"));
    assert.match(String(file.error), /ENOENT/);
  });
  test("a bounded file keeps the newest bytes and counts the others", async () => {
    const path = fresh();
    const file = host.files.openBounded(path, 100);
    for (let index = 0; index < 30; index++) file.append(Buffer.from(String(index).padStart(10, "0")));
    file.append(Buffer.alloc(200, "z"));
    await file.close();
    const kept =
      (fs.existsSync(`${path}.1`) ? fs.readFileSync(`${path}.1`, "utf8") : "") + fs.readFileSync(path, "utf8");
    assert.ok(kept.length <= 100 && kept.endsWith("z".repeat(50)));
    assert.equal(file.droppedBytes, 30 * 10 + 200 - kept.length);
  });
});

describe("removal of an attacker's tree", () => {
  test("follows no link and empties everything", async () => {
    const tree = fresh();
    const precious = fresh();
    fs.mkdirSync(join(precious, "kept"), { recursive: true });
    fs.mkdirSync(join(tree, "a/b/c"), { recursive: true });
    fs.symlinkSync(precious, join(tree, "a/link"));
    fs.symlinkSync(precious, join(tree, "a/b/c/link"));
    fs.writeFileSync(join(tree, "a/b/file"), "x");
    assert.equal(await host.files.removeTree(tree), true);
    assert.equal(await host.files.removeTree(tree), false);
    assert.ok(fs.existsSync(join(precious, "kept")));
  });
  test("by two at once is done once, and fails for neither", async () => {
    const tree = fresh();
    for (let directory = 0; directory < 20; directory++) {
      fs.mkdirSync(join(tree, String(directory)), { recursive: true });
      for (let file = 0; file < 20; file++) fs.writeFileSync(join(tree, String(directory), String(file)), "");
    }
    const outcomes = await Promise.all([1, 2, 3].map(() => host.files.removeTree(tree)));
    assert.deepEqual(outcomes, [true, true, true]);
    assert.equal(fs.existsSync(tree), false);
  });
  test("takes what somebody still writes there meanwhile, too", async () => {
    const tree = fresh();
    fs.mkdirSync(join(tree, "a"), { recursive: true });
    const removed = host.files.removeTree(tree);
    fs.writeFileSync(join(tree, "late"), "when its directory had been read");
    assert.equal(await removed, true);
    assert.equal(fs.existsSync(tree), false);
  });
  test("of a link removes the link", async () => {
    const precious = fresh();
    fs.mkdirSync(precious);
    const link = fresh();
    fs.symlinkSync(precious, link);
    assert.equal(await host.files.removeTree(link), true);
    assert.ok(fs.existsSync(precious));
  });
  test("does not enter another file system", requires("root"), async () => {
    const tree = fresh();
    fs.mkdirSync(join(tree, "mounted"), { recursive: true });
    execFileSync("mount", ["-t", "tmpfs", "none", join(tree, "mounted")]);
    try {
      fs.writeFileSync(join(tree, "mounted/precious"), "x");
      await assert.rejects(host.files.removeTree(tree), code("cleanup-failed"));
      assert.ok(fs.existsSync(join(tree, "mounted/precious")));
    } finally {
      execFileSync("umount", [join(tree, "mounted")]);
    }
    assert.equal(await host.files.removeTree(tree), true);
  });
  test("ends where directories are nested without end", async () => {
    const tree = fresh();
    // Deeper than a path can be long: made by descending.
    execFileSync("sh", [
      "-c",
      `mkdir ${tree} && cd ${tree} && i=0; while [ $i -lt 600 ]; do mkdir d && cd d || exit 1; i=$((i+1)); done`,
    ]);
    await assert.rejects(host.files.removeTree(tree), code("cleanup-failed"));
    execFileSync("rm", ["-rf", tree]);
  });
});

describe("FIFOs", () => {
  test("carry a child's output to a reader, and its end", async () => {
    const path = fresh();
    await host.fifos.make([path]);
    const reader = host.fifos.read(path);
    const chunks: Buffer[] = [];
    reader.on("data", (chunk: Buffer) => chunks.push(chunk));
    const child = await host.processes.spawn({
      file: toHostPath("/bin/echo"),
      args: ["hello"],
      output: path,
    });
    await once(reader, "close");
    assert.equal(Buffer.concat(chunks).toString(), "hello\n");
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });
  test("have no writer's end until somebody reads", async () => {
    const path = fresh();
    await host.fifos.make([path]);
    assert.equal(host.fifos.openWriter(path), undefined);
    const reader = host.fifos.read(path);
    const writer = host.fifos.openWriter(path);
    assert.ok(writer !== undefined);
    host.fifos.send(writer, "configuration");
    const [chunk] = await once(reader, "data");
    assert.equal(String(chunk), "configuration");
    reader.destroy();
  });
  test("take no more than they hold", async () => {
    const path = fresh();
    await host.fifos.make([path]);
    const reader = host.fifos.read(path).pause();
    const writer = host.fifos.openWriter(path);
    assert.ok(writer !== undefined);
    assert.throws(() => host.fifos.send(writer, "x".repeat(100_000)), code("internal"));
    reader.destroy();
  });
});

describe("processes", () => {
  const start = (file: string, ...args: string[]) =>
    host.processes.spawn({ file: toHostPath(file), args, output: "/dev/null" });
  const sleeper = () => start("/bin/sleep", "100");
  test("start with an empty environment, umask 022 and / as their directory", async () => {
    const path = fresh();
    await host.fifos.make([path]);
    const reader = host.fifos.read(path);
    let text = "";
    reader.on("data", (chunk: Buffer) => (text += chunk));
    process.umask(0o077);
    await host.processes.spawn({
      file: toHostPath("/bin/sh"),
      args: ["-c", "umask; pwd; tr -d '\\0' < /proc/$$/environ; echo; cut -d' ' -f1,6 /proc/$$/stat"],
      output: path,
    });
    process.umask(0o022);
    await once(reader, "close");
    assert.match(text, /^0022\n\/\n\n/);
  });
  test("are told apart from others that get the same pid", async () => {
    const child = await sleeper();
    assert.ok(child.identity !== undefined);
    assert.ok(host.processes.isAlive(child.identity));
    const stranger = { ...child.identity, startTicks: "1" };
    assert.equal(host.processes.isAlive(stranger), false);
    assert.equal(host.processes.signal(stranger, "SIGKILL"), false);
    assert.equal(host.processes.signal({ ...child.identity, bootId: "other" }, "SIGKILL"), false);
    assert.equal(host.processes.signal(child.identity, "SIGTERM"), true);
    assert.deepEqual(await child.exited, { code: null, signal: "SIGTERM" });
    assert.equal(host.processes.identify(child.pid), undefined);
    await host.processes.waitForEnd(child.identity, AbortSignal.timeout(5_000));
  });
  test("that do not end are not waited for longer than asked", async () => {
    await assert.rejects(host.processes.waitForEnd(host.processes.self, AbortSignal.timeout(30)), {
      name: "TimeoutError",
    });
  });
  test("that are not there give one clear error", async () => {
    await assert.rejects(start("/nowhere/jailer"), code("jailer-failed"));
    await assert.rejects(start("/bin/true", "two\nlines"), /can not be an argument/);
  });
  test("get their arguments as they are, whatever a shell would make of them", async () => {
    const path = fresh();
    await host.fifos.make([path]);
    const reader = host.fifos.read(path);
    let text = "";
    reader.on("data", (chunk: Buffer) => (text += chunk));
    const args = ["a b", "$HOME", "`id`", "it's", '"', "\\", "*", "", ";exit 3", "é"];
    await host.processes.spawn({ file: toHostPath("/usr/bin/printf"), args: ["<%s>", ...args], output: path });
    await once(reader, "close");
    assert.equal(text, args.map((word) => `<${word}>`).join(""));
  });
  test("have their exit status told and written down, signals and Firecracker's own statuses told apart", async () => {
    const exitFile = fresh();
    const run = (script: string) =>
      host.processes.spawn({ file: toHostPath("/bin/sh"), args: ["-c", script], output: "/dev/null", exitFile });
    for (const [script, exit, written] of [
      ["exit 0", { code: 0, signal: null }, "0\n"],
      ["exit 148", { code: 148, signal: null }, "148\n"],
      ["kill -KILL $$", { code: null, signal: "SIGKILL" }, "137\n"],
      ["kill -ABRT $$", { code: null, signal: "SIGABRT" }, "134\n"],
    ] as const) {
      const child = await run(script);
      assert.deepEqual(await child.exited, exit);
      assert.equal(fs.readFileSync(exitFile, "utf8"), `${child.pid} ${written}`);
    }
  });
});

describe("commands", () => {
  test("run in the C locale with their input", async () => {
    assert.equal((await host.commands.run({ tool: "cat", args: [], input: "in" })).stdout, "in");
    assert.match((await host.commands.run({ tool: "env", args: [] })).stdout, /LC_ALL=C/);
  });
  test("that are not there, fail or hang are named with what they said", async () => {
    assert.equal(host.commands.find("warder-no-such-tool"), undefined);
    await assert.rejects(host.commands.run({ tool: "warder-no-such-tool", args: [] }), code("tool-missing"));
    await assert.rejects(
      host.commands.run({ tool: "ls", args: ["/nowhere"] }),
      (error: Error) => code("tool-failed")(error) && /ls \/nowhere.*No such file/s.test(error.message),
    );
    await assert.rejects(host.commands.run({ tool: "sleep", args: ["10"], timeoutMs: 20 }), code("deadline-exceeded"));
    await assert.rejects(host.commands.run({ tool: "sleep", args: ["10"], signal: AbortSignal.timeout(20) }), /abort/i);
  });
});

describe("HTTP over a Unix socket", () => {
  const serve = async (body: string, status = 200) => {
    const path = fresh();
    const seen: { length: string | undefined; body: string }[] = [];
    const server = createServer((request, response) => {
      let received = "";
      request.on("data", (chunk) => (received += chunk));
      request.on("end", () => {
        seen.push({ length: request.headers["content-length"], body: received });
        response.writeHead(status).end(body);
      });
    });
    server.listen(path);
    await once(server, "listening");
    return { path: toHostPath(path), seen, [Symbol.dispose]: () => void server.close() };
  };
  test("sends a body with its length, and gives status and body", async () => {
    using server = await serve("{}", 204);
    const client = host.sockets.http(server.path);
    const answer = await client.request({ method: "PUT", path: "/x", body: { a: "é" }, timeoutMs: 5_000 });
    assert.equal(answer.status, 204);
    assert.deepEqual(server.seen, [{ length: "10", body: '{"a":"é"}' }]);
    client.close();
  });
  test("refuses an endless answer", async () => {
    using server = await serve("x".repeat(2 * 1024 * 1024));
    const client = host.sockets.http(server.path);
    await assert.rejects(client.request({ method: "GET", path: "/", timeoutMs: 5_000 }), /more than/);
    client.close();
  });
  test("gives up at its deadline, and when it is told", async () => {
    const path = fresh();
    const server = createServer(() => undefined).listen(path);
    await once(server, "listening");
    const client = host.sockets.http(toHostPath(path));
    await assert.rejects(client.request({ method: "GET", path: "/", timeoutMs: 30 }), { name: "TimeoutError" });
    await assert.rejects(
      client.request({ method: "GET", path: "/", timeoutMs: 5_000, signal: AbortSignal.abort(new Error("told")) }),
      /told/,
    );
    client.close();
    server.closeAllConnections();
    server.close();
  });
  test("refuses a path that the kernel would cut off", () => {
    assert.throws(() => host.sockets.http(toHostPath(`/${"x".repeat(107)}`)), code("socket-path-too-long"));
  });
});

describe("the clock", () => {
  test("sleeps until told otherwise, and says why", async () => {
    await assert.rejects(host.clock.sleep(10_000, AbortSignal.abort(new Error("told"))), /told/);
    const began = host.clock.monotonic();
    await host.clock.sleep(5);
    assert.ok(host.clock.monotonic() > began);
    assert.ok(Math.abs(Number(host.clock.nowNanoseconds() / 1_000_000n) - host.clock.now()) < 1_000);
  });
});
