import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSocketServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import type { HttpResponse, Sockets } from "../host/host.ts";
import { openHost } from "../host/real/host.ts";
import { isWarderError, type WarderError } from "../vm/error.ts";
import { toHostPath } from "../vm/path.ts";
import { FirecrackerClient } from "./client.ts";

const newest = { major: 1, minor: 17, patch: 0, text: "1.17.0" };
const info = { id: "vm-1", state: "Running", vmm_version: "1.12.1", app_name: "Firecracker" };

async function failure(promise: Promise<unknown>): Promise<WarderError> {
  try {
    await promise;
  } catch (error) {
    if (isWarderError(error)) return error;
    throw error;
  }
  return assert.fail("it did not fail");
}

/** What a Firecracker that answers so is taken for. */
function clientOf(answer: HttpResponse): FirecrackerClient {
  const sockets: Sockets = { http: () => ({ request: async () => answer, close: () => undefined }) };
  return new FirecrackerClient({ sockets }, { socket: toHostPath("/run/vm.socket"), version: newest });
}

describe("FirecrackerClient, what it makes of an answer", () => {
  it("is one of its own errors, whatever comes", async () => {
    const odd = fc.oneof(fc.string(), fc.json(), fc.constantFrom('{"fault_message":1}', '{ "error": "a\nb" }', "null"));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 100, max: 599 }), odd, async (status, body) => {
        try {
          await clientOf({ status, body }).instanceInfo();
        } catch (error) {
          assert.ok(isWarderError(error) && ["api-fault", "api-protocol", "api-unreachable"].includes(error.code));
        }
      }),
    );
  });

  it("is no longer than a person reads, and holds nothing that could steer a terminal", async () => {
    const error = await failure(clientOf({ status: 500, body: `\u001b[2J${"x".repeat(10_000)}` }).instanceInfo());
    assert.ok(error.message.length < 600);
    assert.ok(!error.message.includes("\u001b"));
    const fault = { fault_message: `\u001b[2Jno\u202e${"x".repeat(10_000)}` };
    const refused = await failure(clientOf({ status: 400, body: JSON.stringify(fault) }).instanceInfo());
    assert.match(refused.why, /^ \[2Jno x{1990,}…$/);
  });
});

describe("FirecrackerClient, over a real socket", () => {
  const host = openHost();
  let directory: string;
  let server: Server;
  let connections: number;
  let respond: (request: IncomingMessage, response: ServerResponse, body: string) => void;

  const socketPath = () => toHostPath(join(directory, "api.socket"));
  const connect = () => new FirecrackerClient(host, { socket: socketPath(), version: newest });

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "warder-api-"));
    connections = 0;
    server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => respond(request, response, Buffer.concat(chunks).toString()));
    });
    server.on("connection", () => {
      connections++;
    });
    await new Promise<void>((resolve) => server.listen(socketPath(), resolve));
  });

  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(directory, { recursive: true, force: true });
  });

  it("sends a body with its length, as Firecracker takes no chunks", async () => {
    const seen: unknown[] = [];
    respond = ({ method, url, headers }, response, body) => {
      seen.push([method, url, headers["content-length"], headers["transfer-encoding"], body]);
      response.writeHead(204).end();
    };
    await connect().pause();
    assert.deepEqual(seen, [["PATCH", "/vm", "18", undefined, '{"state":"Paused"}']]);
  });

  it("passes a fault's text on and keeps the connection", async () => {
    respond = (_request, response) => response.writeHead(400).end('{"fault_message":"No such thing."}');
    const client = connect();
    const error = await failure(client.start());
    assert.equal(error.code, "api-fault");
    assert.equal(error.why, "No such thing.");
    assert.match(error.doing, /PUT \/actions/);
    await failure(client.start());
    assert.equal(connections, 1);
    client.close();
  });

  it("drops the connection on a protocol error, whose body is no JSON, and opens another at the next call", async () => {
    const text = '{ "error": "Invalid request.\nAll previous unanswered requests will be dropped." }';
    respond = (_request, response) => response.writeHead(400).end(text);
    const client = connect();
    const error = await failure(client.start());
    assert.equal(error.code, "api-protocol");
    assert.match(error.why, /Invalid request\. All previous unanswered requests will be dropped\./);
    respond = (_request, response) => response.writeHead(204).end();
    await client.start();
    assert.equal(connections, 2);
    client.close();
  });

  it("takes an answer that is not what was asked for as a protocol error", async () => {
    const client = connect();
    for (const body of ["", "garbage", "[]", '{"id":1}', JSON.stringify({ ...info, state: "Flying" })]) {
      respond = (_request, response) => response.writeHead(200).end(body);
      assert.equal((await failure(client.instanceInfo())).code, "api-protocol", body);
    }
    client.close();
  });

  it("tells a Firecracker with too many clients from one that is gone", async () => {
    respond = (_request, response) => response.writeHead(503).end('{ "error": "Too many open connections" }');
    const error = await failure(connect().instanceInfo());
    assert.equal(error.code, "api-unreachable");
    assert.match(error.message, /Too many open connections.*ten connections/);
  });

  it("says that nothing answers where there is no socket, or nobody behind it", async () => {
    const gone = new FirecrackerClient(host, { socket: toHostPath(join(directory, "none")), version: newest });
    assert.equal((await failure(gone.instanceInfo())).code, "api-unreachable");
    writeFileSync(join(directory, "file"), "");
    const file = new FirecrackerClient(host, { socket: toHostPath(join(directory, "file")), version: newest });
    assert.equal((await failure(file.instanceInfo())).code, "api-unreachable");
  });

  it("says that it became unreachable where Firecracker dies under a request", async () => {
    respond = (request) => request.socket.destroy();
    assert.equal((await failure(connect().pause())).code, "api-unreachable");
  });

  it("takes what is no HTTP as a protocol error", async () => {
    const path = toHostPath(join(directory, "raw"));
    const raw = createSocketServer((socket) => socket.end("OK 1073741824\n"));
    await new Promise<void>((resolve) => raw.listen(path, resolve));
    const error = await failure(new FirecrackerClient(host, { socket: path, version: newest }).instanceInfo());
    raw.close();
    assert.equal(error.code, "api-protocol");
  });

  it("gives up at the deadline, and works again afterwards", async () => {
    respond = () => undefined;
    const client = connect();
    const error = await failure(client.pause({ timeoutMs: 20 }));
    assert.equal(error.code, "deadline-exceeded");
    assert.match(error.message, /PATCH \/vm .*no answer within 20 ms/);
    respond = (_request, response) => response.writeHead(200).end(JSON.stringify(info));
    assert.equal((await client.instanceInfo()).state, "Running");
    client.close();
  });

  it("gives up when it is told to", async () => {
    const giveUp = new AbortController();
    respond = () => giveUp.abort();
    assert.equal((await failure(connect().pause({ signal: giveUp.signal }))).code, "aborted");
    assert.equal((await failure(connect().pause({ signal: AbortSignal.abort() }))).code, "aborted");
  });
});
