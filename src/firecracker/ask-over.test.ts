import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { describe, test } from "node:test";
import fc from "fast-check";
import { instanceInfoOver } from "./ask-over.ts";

const info = { id: "vm-1", state: "Running", vmm_version: "1.12.1", app_name: "Firecracker" };

function answer(body: string, status = "200 OK"): string {
  return `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** The other end of a connection: answers the first request with these bytes, and ends the connection where it is told. */
function server(bytes: string | Uint8Array, { isEnding = true } = {}): { stream: Duplex; asked: () => string } {
  let asked = "";
  const stream = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      asked += chunk.toString("latin1");
      done();
      if (!asked.includes("\r\n\r\n")) return;
      this.push(bytes);
      if (isEnding) this.push(null);
    },
  });
  return { stream, asked: () => asked };
}

const patient = () => AbortSignal.timeout(10_000);

describe("asking a Firecracker who it is, over a connection", () => {
  test("gives its answer, and ends the connection", async () => {
    const { stream, asked } = server(answer(JSON.stringify(info)), { isEnding: false });
    assert.deepEqual(await instanceInfoOver(stream, patient()), info);
    assert.match(asked(), /^GET \/ HTTP\/1\.1\r\n/);
    assert.equal(stream.destroyed, true);
  });

  test("refuses what is no such answer", async () => {
    const wrong: [string, RegExp][] = [
      [answer("{}"), /status 200, and not who it is/],
      [answer("not JSON"), /not who it is/],
      [answer(JSON.stringify({ ...info, state: "Asleep" })), /not who it is/],
      [answer(JSON.stringify(info), "400 Bad Request"), /status 400/],
      [answer("x".repeat(20_000)), /more than 16384 bytes/],
      ["no HTTP at all\r\n\r\n", /Parse Error/],
      ["", /socket hang up/],
    ];
    for (const [bytes, expected] of wrong) {
      const { stream } = server(bytes);
      await assert.rejects(instanceInfoOver(stream, patient()), expected, bytes.slice(0, 80));
      assert.equal(stream.destroyed, true);
    }
  });

  test("waits no longer than it may", async () => {
    const { stream } = server("", { isEnding: false });
    const given = new AbortController();
    const asked = instanceInfoOver(stream, given.signal);
    given.abort(new Error("enough"));
    await assert.rejects(asked, /enough|aborted/);
    assert.equal(stream.destroyed, true);
  });

  test("ends in a bounded way, whatever the other side sends", async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 500 }), fc.string()), async (noise) => {
        const { stream } = server(typeof noise === "string" ? answer(noise) : noise);
        await assert.rejects(instanceInfoOver(stream, patient()));
        assert.equal(stream.destroyed, true);
      }),
    );
  });
});
