import assert from "node:assert/strict";
import { once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import { describe, type TestContext, test } from "node:test";
import { until, within } from "../../../test/support/conformance/until.ts";
import { RawClient } from "../../../test/support/rpc/raw-client.ts";
import type { WebHandler } from "./exchange.ts";
import type { ServerLimits } from "./limits.ts";
import { WebServer } from "./web-server.ts";

const limits: ServerLimits = {
  maxBodyBytes: 1024 * 1024,
  maxHeaderBytes: 8 * 1024,
  maxConnections: 64,
  headerTimeoutMs: 200,
  requestTimeoutMs: 400,
  idleTimeoutMs: 300,
  stallTimeoutMs: 300,
};

/** Answers with the protocol, the method and how much it was sent. */
const echo: WebHandler = (request, response) => {
  let length = 0;
  request.on("data", (chunk: Buffer) => {
    length += chunk.length;
  });
  request.on("end", () => response.end(`${request.httpVersion} ${request.method} ${length}`));
};

async function open(
  context: TestContext,
  { handler = echo, ...own }: Partial<ServerLimits> & { handler?: WebHandler } = {},
) {
  const server = new WebServer({ kind: "loopback", address: "127.0.0.1", port: 0 }, { ...limits, ...own }, handler);
  context.after(() => server[Symbol.asyncDispose]());
  await server.listen({ host: "127.0.0.1", port: 0 });
  return { server, port: server.port ?? assert.fail("no port") };
}

function http1(port: number, body = "", headers: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.request({ port, host: "127.0.0.1", method: "POST", path: "/", headers }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () => resolve(text));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

function openSession(context: TestContext, port: number): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on("error", () => undefined);
  context.after(() => session.destroy());
  return session;
}

function h2(session: http2.ClientHttp2Session, body = "", headers: http2.OutgoingHttpHeaders = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":method": "POST", ":path": "/", ...headers });
    let text = "";
    stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
    stream.on("end", () => resolve(text));
    stream.on("error", reject);
    stream.on("close", () => reject(new Error(`closed with ${stream.rstCode}`)));
    stream.end(body);
  });
}

/** A server whose answers are endless, and the clients' way to see how much of them was made. */
function flood() {
  const state = { written: 0, closed: false };
  const handler: WebHandler = (request, response) => {
    request.resume();
    const chunk = Buffer.alloc(64 * 1024);
    const more = () => {
      for (;;) {
        state.written += chunk.length;
        if (!(response as http.ServerResponse).write(chunk)) break;
      }
    };
    response.on("drain", more);
    response.on("close", () => {
      state.closed = true;
    });
    more();
  };
  return { state, handler };
}

/** Long enough to be no reason for anything that happens in a test. */
const patient = { headerTimeoutMs: 60_000, requestTimeoutMs: 60_000, idleTimeoutMs: 60_000, stallTimeoutMs: 60_000 };

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/** Windows as large as can be, and a request for `/`, in bytes: RFC 9113, 6.5, 6.9 and 6.2; RFC 7541, appendix A. */
const greedyRequest = Buffer.from([
  ...[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff],
  ...[0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0xff, 0, 0],
  ...[0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, 0x78],
]);
const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

describe("one port", () => {
  test("speaks HTTP/1.1 and HTTP/2", async (context) => {
    const { port } = await open(context);
    assert.equal(await http1(port, "abc"), "1.1 POST 3");
    const session = openSession(context, port);
    assert.equal(await h2(session, "abcd"), "2.0 POST 4");
    assert.equal(await h2(session, "x".repeat(300_000)), "2.0 POST 300000");
    assert.equal(await http1(port, "x".repeat(300_000)), "1.1 POST 300000");
  });

  test("knows the protocol although its first bytes come one by one", async (context) => {
    const { port } = await open(context, { headerTimeoutMs: 5_000, requestTimeoutMs: 5_000 });
    using first = new RawClient(port);
    await first.drip("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    await within("the answer", first.closed);
    assert.match(first.text, /1\.1 POST 5$/);
    using second = new RawClient(port);
    await second.drip(preface);
    second.send(emptySettings);
    // The server's own settings, which no HTTP/1 server would send.
    await until("settings", () => second.received.length >= 9 && second.received[3] === 4);
  });

  test("takes a request that begins like the preface for what it is", async (context) => {
    const { port } = await open(context);
    using client = new RawClient(port).send("PROPFIND / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    await within("the answer", client.closed);
    assert.match(client.text, /1\.1 PROPFIND 0$/);
  });

  test("answers many requests of one connection, pipelined ones too", async (context) => {
    const { port } = await open(context);
    const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    using client = new RawClient(port).send(request.repeat(3));
    await until("three answers", () => client.text.split("1.1 GET 0").length === 4);
  });
});

describe("a slow client is cut off", () => {
  const inTime = (milliseconds: number, timeoutMs: number) => {
    assert.ok(milliseconds >= timeoutMs * 0.9, `${milliseconds} ms`);
    assert.ok(milliseconds < timeoutMs + 5_000, `${milliseconds} ms`);
  };

  test("that says nothing", async (context) => {
    const { port } = await open(context);
    using client = new RawClient(port);
    inTime(await within("the end", client.closed), limits.headerTimeoutMs);
  });

  test("that does not finish the preface, or its headers", async (context) => {
    const { port } = await open(context);
    using preamble = new RawClient(port).send("PRI * HT");
    using headers = new RawClient(port).send("POST / HTTP/1.1\r\nHost:");
    inTime(await within("the end", preamble.closed), limits.headerTimeoutMs);
    inTime(await within("the end", headers.closed), limits.headerTimeoutMs);
  });

  test("that sends its headers bit by bit", async (context) => {
    const { port } = await open(context);
    using client = new RawClient(port).send("POST / HTTP/1.1\r\n");
    const timer = setInterval(() => client.send("X-A: b\r\n"), 20);
    context.after(() => clearInterval(timer));
    inTime(await within("the end", client.closed), limits.headerTimeoutMs);
  });

  test("that does not finish its body", async (context) => {
    const { port } = await open(context);
    using client = new RawClient(port).send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na");
    inTime(await within("the end", client.closed), limits.requestTimeoutMs);
    const stream = openSession(context, port).request({ ":method": "POST", ":path": "/" });
    stream.on("error", () => undefined);
    stream.write("a");
    await within("the end of the stream", new Promise((resolve) => stream.once("close", resolve)));
    assert.equal(stream.rstCode, http2.constants.NGHTTP2_CANCEL);
  });

  test("that says it speaks HTTP/2, and then nothing", async (context) => {
    const { port } = await open(context);
    using client = new RawClient(port).send(preface).send(emptySettings);
    inTime(await within("the end", client.closed), limits.idleTimeoutMs);
  });

  test("that does not take its answer over HTTP/1.1", async (context) => {
    const { state, handler } = flood();
    const { port } = await open(context, { handler });
    using client = new RawClient(port).send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client.socket.pause();
    await until("the end of the exchange", () => state.closed);
  });

  test("that does not take its answer over HTTP/2, and no other exchange of its connection", async (context) => {
    const { state, handler } = flood();
    const { port } = await open(context, {
      handler: (request, response) => (request.url === "/flood" ? handler(request, response) : echo(request, response)),
    });
    const session = openSession(context, port);
    const stream = session.request({ ":path": "/flood" });
    stream.on("error", () => undefined);
    stream.pause();
    await until("the end of the exchange", () => state.closed);
    assert.equal(await h2(session, "ab"), "2.0 POST 2");
    assert.ok(state.written < 4 * 1024 * 1024, `${state.written} bytes were made for nobody`);
  });
});

test("a client that leaves its whole connection unread is cut off, whatever waits for it", async (context) => {
  const { state, handler } = flood();
  const { server, port } = await open(context, { handler });
  using client = new RawClient(port).send(preface).send(greedyRequest);
  client.socket.pause();
  await until("the end of the exchange", () => state.closed);
  await until("the end of the connection", () => server.connections === 0);
});

describe("a client that is only slow", () => {
  test("gets the whole of its answer as long as it takes some of it", async (context) => {
    const size = 8 * 1024 * 1024;
    const { port } = await open(context, {
      handler: (request, response) => {
        request.resume();
        response.end(Buffer.alloc(size));
      },
    });
    using client = new RawClient(port).send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const pace = setInterval(() => (client.socket.isPaused() ? client.socket.resume() : client.socket.pause()), 40);
    context.after(() => clearInterval(pace));
    await within("the end", client.closed);
    assert.ok(client.received.length > size);
  });

  test("may hold a stream open on which nothing happens", async (context) => {
    const { port } = await open(context, {
      handler: (request, response) => {
        request.resume();
        (response as http.ServerResponse).write("begun");
        setTimeout(() => response.end(" ended"), 900);
      },
    });
    assert.equal(await within("HTTP/1.1", http1(port)), "begun ended");
    assert.equal(await within("HTTP/2", h2(openSession(context, port))), "begun ended");
  });

  test("may go on sending for longer than a request may take, once its answer has begun", async (context) => {
    const { port } = await open(context, {
      handler: (request, response) => {
        (response as http2.Http2ServerResponse).write("begun ");
        request.pipe(response as http2.Http2ServerResponse);
      },
    });
    const stream = openSession(context, port).request({ ":method": "POST", ":path": "/" });
    let text = "";
    stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
    stream.write("first ");
    setTimeout(() => stream.end("last"), 2 * limits.requestTimeoutMs);
    await within("the end", once(stream, "end"));
    assert.equal(text, "begun first last");
  });
});

describe("too much at once is refused", () => {
  test("connections", async (context) => {
    const { server, port } = await open(context, {
      maxConnections: 2,
      headerTimeoutMs: 60_000,
      requestTimeoutMs: 60_000,
    });
    using _first = new RawClient(port);
    using _second = new RawClient(port);
    await until("two connections", () => server.connections === 2);
    using third = new RawClient(port);
    await within("the third's end", third.closed);
    assert.equal(server.connections, 2);
  });

  test("headers, by size", async (context) => {
    const { port } = await open(context);
    using client = new RawClient(port).send(`GET / HTTP/1.1\r\nHost: x\r\nX-A: ${"a".repeat(9_000)}\r\n\r\n`);
    await within("the end", client.closed);
    assert.match(client.text, /^HTTP\/1\.1 431 /);
    assert.match(await h2(openSession(context, port), "", { "x-a": "a".repeat(9_000) }), /headers are too large/);
    await assert.rejects(h2(openSession(context, port), "", { "x-a": "a".repeat(900_000) }));
  });

  test("headers, by number", async (context) => {
    const { port } = await open(context);
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`x-${index}`, "a"]));
    await assert.rejects(h2(openSession(context, port), "", many));
  });
});

describe("draining", () => {
  test("lets what is under way end, and takes nothing new", async (context) => {
    const finish: (() => void)[] = [];
    const { server, port } = await open(context, {
      handler: (request, response) => {
        request.resume();
        finish.push(() => response.end("done"));
      },
    });
    const session = openSession(context, port);
    const answers = [http1(port), h2(session)];
    await until("both requests", () => finish.length === 2);
    server.stopTaking();
    await assert.rejects(http1(port));
    for (const end of finish) end();
    assert.deepEqual(await within("the answers", Promise.all(answers)), ["done", "done"]);
    await within("the end of all connections", server.drained(AbortSignal.timeout(10_000)));
  });

  test("does not wait for connections on which nothing is under way", async (context) => {
    const { server, port } = await open(context, { ...patient });
    using silent = new RawClient(port);
    using resting = new RawClient(port).send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await h2(openSession(context, port));
    await until(
      "three connections, one answered",
      () => server.connections === 3 && resting.text.includes("1.1 GET 0"),
    );
    server.stopTaking();
    await within("their end", server.drained(new AbortController().signal));
    await within("the silent one's end", silent.closed);
  });

  test("ends what does not end by itself when time is up", async (context) => {
    const { server, port } = await open(context, { handler: (request) => void request.resume() });
    const answer = http1(port);
    answer.catch(() => undefined);
    await until("a connection", () => server.connections === 1);
    server.stopTaking();
    await within("the end of all connections", server.drained(AbortSignal.timeout(50)));
    await assert.rejects(answer);
  });
});

test("a port that is in use is refused with its name", async (context) => {
  const { port } = await open(context);
  const second = new WebServer({ kind: "loopback", address: "127.0.0.1", port }, limits, echo);
  context.after(() => second[Symbol.asyncDispose]());
  await assert.rejects(second.listen({ host: "127.0.0.1", port }), {
    code: "door-unusable",
    message: new RegExp(`127\\.0\\.0\\.1:${port}.*EADDRINUSE`),
  });
});
