import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { VmService } from "../../gen/vmprovisioner/v1/vm_pb.js";
import { until, within } from "../../test/support/conformance/until.ts";
import { serveOnLoopback } from "../../test/support/rpc/on-loopback.ts";
import { RawClient } from "../../test/support/rpc/raw-client.ts";
import { metaldConfig } from "../../test/support/rpc/requests.ts";

const path = "/vmprovisioner.v1.VmService";

function post(url: string, call: string, body: string, headers: Record<string, string> = {}) {
  return fetch(`${url}${path}/${call}`, { method: "POST", body, headers });
}

/** What `curl -d` says where nothing else is said. */
const form = { "content-type": "application/x-www-form-urlencoded" };
const json = { "content-type": "application/json" };

const config = JSON.stringify({
  config: {
    cpu: { vcpu_count: 2 },
    memory: { sizeBytes: "134217728" },
    boot: { kernel_path: "/opt/vm-assets/vmlinux" },
    storage: [{ path: "/opt/vm-assets/rootfs.ext4", is_root_device: true, readonly: true }],
  },
});

describe("JSON as connect-go reads and writes it", () => {
  test("takes both spellings of names, and what it does not know", async (context) => {
    const { url, host } = await serveOnLoopback(context);
    const answer = await post(url, "CreateVm", config, json);
    assert.equal(answer.status, 200);
    const { vmId, state } = (await answer.json()) as { vmId: string; state: string };
    assert.equal(state, "VM_STATE_CREATED");
    assert.equal(host.get(vmId).record.spec.vcpus, 2);
  });

  test("takes numbers of 64 bits as numbers and as texts, and gives texts", async (context) => {
    const { url } = await serveOnLoopback(context);
    await post(url, "CreateVm", config.replace('"134217728"', "134217728"), json);
    const { vms } = (await (await post(url, "ListVms", "{}", json)).json()) as { vms: Record<string, unknown>[] };
    assert.equal(vms[0]?.memorySizeBytes, "134217728");
    assert.equal(typeof vms[0]?.createdTimestamp, "string");
  });

  test("leaves out what is as it is by default", async (context) => {
    const { url } = await serveOnLoopback(context);
    assert.equal(await (await post(url, "ListVms", "{}", json)).text(), "{}");
  });

  test("tells errors with their code, and everything else in a detail", async (context) => {
    const { url } = await serveOnLoopback(context);
    const answer = await post(url, "BootVm", '{"vm_id": "absent"}', json);
    const body = (await answer.json()) as { code: string; details: { type: string; debug: { code: string } }[] };
    assert.equal(answer.status, 404);
    assert.equal(body.code, "not_found");
    assert.equal(body.details[0]?.type, "warder.v1.ErrorInfo");
    assert.equal(body.details[0]?.debug.code, "vm-not-found");
  });
});

describe("curl as metald's documents have it, without a content type", () => {
  test("is taken for the JSON that it sends", async (context) => {
    const { url } = await serveOnLoopback(context);
    for (const body of [config, ` \n\t${config}`]) assert.equal((await post(url, "CreateVm", body, form)).status, 200);
    const charset = { "content-type": "application/x-www-form-urlencoded; charset=utf-8" };
    assert.equal((await post(url, "ListVms", "{}", charset)).status, 200);
  });

  test("is taken for JSON whose first byte comes late", async (context) => {
    const { port } = await serveOnLoopback(context);
    using client = new RawClient(port).send(
      `POST ${path}/ListVms HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n` +
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n",
    );
    await client.drip("{}");
    await within("the answer", client.closed);
    assert.match(client.text, /^HTTP\/1\.1 200 .*\{\}/s);
  });

  test("is no form that is one", async (context) => {
    const { url } = await serveOnLoopback(context);
    for (const body of ["a=b", "", "[1]"]) assert.equal((await post(url, "ListVms", body, form)).status, 415);
  });
});

describe("one port serves", () => {
  const transports = {
    "Connect, binary, HTTP/1.1": (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
    "Connect, JSON, HTTP/1.1": (baseUrl: string) =>
      createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
    "Connect, binary, HTTP/2": (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "2" }),
    "Connect, JSON, HTTP/2": (baseUrl: string) =>
      createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false }),
    "gRPC, HTTP/2": (baseUrl: string) => createGrpcTransport({ baseUrl }),
    "gRPC-Web, HTTP/1.1": (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
    "gRPC-Web, HTTP/2": (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
  };

  for (const [name, open] of Object.entries(transports)) {
    test(name, async (context) => {
      const { url } = await serveOnLoopback(context);
      const client = createClient(VmService, open(url));
      const { vmId } = await client.createVm({ config: metaldConfig });
      await client.bootVm({ vmId });
      assert.equal((await client.listVms({})).totalCount, 1);
      await assert.rejects(client.bootVm({ vmId: "absent" }), /no VM has this id/);
    });
  }
});

describe("a page in somebody's browser", () => {
  test("is turned away by its origin, whatever it sends", async (context) => {
    const { url, host } = await serveOnLoopback(context);
    for (const headers of [
      { ...form, origin: "https://evil.example" },
      { ...json, origin: "null" },
      { ...form, "sec-fetch-site": "cross-site" },
    ]) {
      assert.equal((await post(url, "CreateVm", config, headers)).status, 403);
    }
    assert.equal(host.records().length, 0);
    assert.equal((await fetch(`${url}/health`, { headers: { origin: "https://evil.example" } })).status, 403);
  });

  test("is turned away by the name that it let lead here", async (context) => {
    const { port } = await serveOnLoopback(context);
    for (const [name, status] of [
      ["evil.example", 403],
      [`evil.example:${port}`, 403],
      ["127.0.0.1.evil.example", 403],
      ["localhost", 200],
      [`LOCALHOST:${port}`, 200],
      ["127.0.0.1", 200],
      ["[::1]", 200],
    ] as const) {
      using client = new RawClient(port).send(`GET /health HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`);
      await within(name, client.closed);
      assert.match(client.text, new RegExp(`^HTTP/1\\.1 ${status} `), name);
    }
  });
});

describe("what is no request of ours", () => {
  test("is answered, and harms nothing", async (context) => {
    const { port, url, defects } = await serveOnLoopback(context);
    for (const head of [
      `POST ${path}/ListVms HTTP/1.0\r\n`,
      `POST ${path}/ListVms HTTP/1.1\r\nHost: [\r\n`,
      `POST ${path}/ListVms HTTP/1.1\r\nHost: a b\r\n`,
      `POST ${path}/ListVms HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Encoding: x\r\n`,
      `POST // HTTP/1.1\r\nHost: localhost\r\n`,
      `GET http://[/ HTTP/1.1\r\nHost: localhost\r\n`,
      `CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n`,
      "\0\0\0\0\r\n",
    ]) {
      using client = new RawClient(port).send(`${head}Connection: close\r\n\r\n`);
      await within(head, client.closed);
      assert.doesNotMatch(client.text, /^HTTP\/1\.1 (200|500)/, head);
    }
    assert.equal((await fetch(`${url}/nothing/here`)).status, 404);
    assert.equal((await fetch(`${url}/health`, { method: "POST" })).status, 405);
    assert.equal((await fetch(`${url}${path}/ListVms`)).status, 405);
    assert.deepEqual(defects, []);
  });

  test("is not read beyond what it may have", async (context) => {
    const { url } = await serveOnLoopback(context, { maxBodyBytes: 4096 });
    const answer = await post(url, "ListVms", JSON.stringify({ pageToken: "x".repeat(5000) }), json);
    assert.equal(answer.status, 429);
    assert.match(await answer.text(), /resource_exhausted/);
  });

  test("is told of to the operator where its body can not be read", async (context) => {
    const { url, failures } = await serveOnLoopback(context);
    assert.equal((await post(url, "ListVms", '{"pageSize": "x', json)).status, 400);
    await until("the failure", () => failures.length === 1);
    assert.equal(failures[0]?.code, "invalid_argument");
  });
});

test("no more is under way than may be, and whoever comes then is told so", async (context) => {
  const { url, host, traffic } = await serveOnLoopback(context, { traffic: { maxRequests: 2, maxStreams: 1 } });
  await host.create({ id: "a", kernel: "probe" });
  const gate = Promise.withResolvers<void>();
  host.gate = () => gate.promise;
  const busy = [post(url, "BootVm", '{"vmId":"a"}', json), post(url, "DeleteVm", '{"vmId":"a"}', json)];
  await until("two requests", () => traffic.running.requests === 2);
  const refused = await post(url, "ListVms", "{}", json);
  assert.equal(refused.status, 429);
  gate.resolve();
  await Promise.all(busy);
  await until("none", () => traffic.running.requests === 0);
  assert.equal((await post(url, "ListVms", "{}", json)).status, 200);
});

describe("a request that can not be read", () => {
  const detailOf = (body: string) => (JSON.parse(body) as { details?: { debug: { code: string } }[] }).details?.[0];

  test("is the caller's error, with the typed detail, in binary as in JSON", async (context) => {
    const { url } = await serveOnLoopback(context);
    for (const [type, body] of [
      ["application/json", '{"vm_id": 1}'],
      ["application/proto", "\xff\xff"],
    ] as const) {
      const answer = await post(url, "BootVm", body, { "content-type": type });
      assert.equal(answer.status, 400, type);
      assert.equal(detailOf(await answer.text())?.debug.code, "invalid-argument", type);
    }
  });

  test("gets its answer over gRPC, whatever its text is cut into", async (context) => {
    const { url } = await serveOnLoopback(context);
    const text = Buffer.from(`\0${"\u{1f4a5}".repeat(50)}`);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(text.length, 1);
    const headers = { "content-type": "application/grpc-web+json" };
    const body = new Uint8Array([...head, ...text]);
    const answer = await fetch(`${url}${path}/BootVm`, { method: "POST", body, headers });
    assert.match(answer.headers.get("grpc-status") ?? (await answer.text()), /3/);
  });

  test("leaves nothing of its body before the next one of its connection", async (context) => {
    const { url, port } = await serveOnLoopback(context);
    using client = new RawClient(port);
    const body = "[".repeat(500_000);
    const line = (call: string, type: string, length: number) =>
      `POST ${path}/${call} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`;
    for (const type of ["text/plain", "application/grpc"]) client.send(line("BootVm", type, body.length)).send(body);
    client.send(`${line("ListVms", "application/json", 2)}{}`);
    await until("the third answer", () => client.text.split("HTTP/1.1 ").length === 4);
    assert.match(client.text, /HTTP\/1\.1 200 OK(?!.*HTTP\/1)/s);
    assert.equal((await post(url, "ListVms", "{}", json)).status, 200);
  });
});

test("who goes away before a form's first byte is not counted for ever", async (context) => {
  const { port, traffic } = await serveOnLoopback(context);
  {
    using client = new RawClient(port);
    client.send(`POST ${path}/ListVms HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n`);
    await until("the request to be there", () => client.socket.bytesWritten > 0 && client.socket.writableLength === 0);
  }
  const second = new RawClient(port);
  using _second = second;
  second.send(`POST ${path}/ListVms HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}`);
  await until("the next answer", () => second.text.startsWith("HTTP/1.1 200 OK"));
  await until("nobody to be counted", () => traffic.running.requests === 0);
});
