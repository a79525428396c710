/** The API's HTTP: a small server of its own, with habits that a client has to know. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Connection, exchange, request, requestText } from "./api.ts";
import { Bench } from "./bench.ts";
import type { Subject } from "./subject.ts";
import { until } from "./until.ts";

const DROPPED = "All previous unanswered requests will be dropped.";

export function apiProtocolCases(subject: Subject): void {
  describe("the API's protocol", () => {
    it("answers a GET with 200 and JSON, and keeps the connection", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const connection = await Connection.open(socket);
      t.after(() => connection.close());
      for (const path of ["/", "/version"]) {
        connection.send(requestText("GET", path));
        const { status, head } = await connection.answer();
        assert.equal(status, 200);
        assert.match(
          head,
          /^HTTP\/1\.1 200 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\nContent-Type: application\/json/,
        );
      }
    });

    it("answers a change with 204, without length and body", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const { head, body } = await request(socket, "PUT", "/entropy", {});
      assert.equal(head, "HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive");
      assert.equal(body, "");
    });

    it("answers requests that were sent together, in order", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const connection = await Connection.open(socket);
      t.after(() => connection.close());
      connection.send(requestText("GET", "/version") + requestText("GET", "/machine-config"));
      assert.match((await connection.answer()).body, /firecracker_version/);
      assert.match((await connection.answer()).body, /vcpu_count/);
    });

    const wrong: readonly (readonly [what: string, text: string, message: string])[] = [
      ["a method of another kind", "POST / HTTP/1.1\r\n\r\n", "Invalid HTTP Method: Unsupported HTTP method."],
      ["another version of HTTP", "GET / HTTP/2\r\n\r\n", "Invalid HTTP Version: Unsupported HTTP version."],
      ["no request at all", "nonsense\r\n\r\n", "Invalid request."],
      [
        "a header without a colon",
        "GET / HTTP/1.1\r\nBad\r\n\r\n",
        "Invalid header. Reason: Header is incorrectly formatted. Key: Bad",
      ],
      [
        "a length that is no number",
        "PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "Invalid header. Reason: Invalid value. Key:Content-Length; Value: x",
      ],
      [
        "an encoding that forbids the plain one",
        "GET / HTTP/1.1\r\nAccept-Encoding: identity;q=0\r\n\r\n",
        "Invalid header. Reason: Invalid value. Key:Accept-Encoding; Value:identity;q=0",
      ],
    ];
    for (const [what, text, message] of wrong) {
      it(`has an error shape of its own for ${what}, which is not JSON`, async (t) => {
        const bench = new Bench(subject, t);
        const { socket } = await bench.startApi();
        const { status, body } = await exchange(socket, text);
        assert.equal(status, 400);
        assert.equal(body, `{ "error": "${message}\n${DROPPED}" }`);
        assert.throws(() => JSON.parse(body), SyntaxError);
      });
    }

    it("takes a body of 51200 bytes, and no larger one, after which the connection is of no use", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const largest = await request(socket, "PUT", "/mmds", JSON.stringify({ a: "x".repeat(51_192) }));
      assert.equal(largest.status, 204);
      const connection = await Connection.open(socket);
      t.after(() => connection.close());
      connection.send("PUT /mmds HTTP/1.1\r\nContent-Length: 51201\r\n\r\n");
      const limit = "Request payload with size 51201 is larger than the limit of 51200 allowed by server.";
      assert.equal((await connection.answer()).body, `{ "error": "${limit}\n${DROPPED}" }`);
      connection.send("GET / HTTP/1.1\r\n\r\n");
      assert.match((await connection.answer()).body, /Header is incorrectly formatted\. Key: GET \/ HTTP\/1\.1/);
    });

    it("does not understand chunked bodies", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const head = "PUT /entropy HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
      const { status, body } = await exchange(socket, `${head}2\r\n{}\r\n0\r\n\r\n`);
      assert.equal(status, 400);
      assert.match(body, /Invalid request\.|Empty PUT request\./);
    });

    it("says 100 to a client that asks before it sends a body", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const connection = await Connection.open(socket);
      t.after(() => connection.close());
      connection.send("PUT /entropy HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
      assert.equal((await connection.answer()).status, 100);
      connection.send("{}");
      assert.equal((await connection.answer()).status, 204);
    });

    it("has ten connections at most, and turns the next away", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const connections: Connection[] = [];
      t.after(() => {
        for (const connection of connections) connection.close();
      });
      for (let index = 0; index < 10; index++) connections.push(await Connection.open(socket));
      for (const connection of connections) {
        connection.send(requestText("GET", "/version"));
        assert.equal((await connection.answer()).status, 200);
      }
      const eleventh = await Connection.open(socket);
      const { status, body } = await eleventh.answer();
      assert.deepEqual({ status, body }, { status: 503, body: '{ "error": "Too many open connections" }' });
      await eleventh.end();
      connections.shift()?.close();
      // A client that has sent its request before it is turned away sees a reset instead of the 503.
      await until("there is room again", async () => {
        const answer = await request(socket, "GET", "/version").catch(() => undefined);
        return answer?.status === 200;
      });
    });
  });
}
