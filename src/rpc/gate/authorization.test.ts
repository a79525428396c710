import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { FakeHost } from "../../../test/support/rpc/fake-host.ts";
import { serveInMemory } from "../../../test/support/rpc/in-memory.ts";
import { metaldConfig } from "../../../test/support/rpc/requests.ts";
import { type Caller, type Role, roles } from "../../access/caller.ts";
import type { Tenant } from "../../vm/belongings.ts";
import { permissionOf, procedureOf, services } from "./permissions.ts";

/** Who may call what, written down once more by hand: the table that the gate has is compared with it. */
const expected: Readonly<Record<string, Role | "host admin" | "anybody">> = {
  "/vmprovisioner.v1.VmService/CreateVm": "operate",
  "/vmprovisioner.v1.VmService/DeleteVm": "operate",
  "/vmprovisioner.v1.VmService/BootVm": "operate",
  "/vmprovisioner.v1.VmService/ShutdownVm": "operate",
  "/vmprovisioner.v1.VmService/PauseVm": "operate",
  "/vmprovisioner.v1.VmService/ResumeVm": "operate",
  "/vmprovisioner.v1.VmService/RebootVm": "operate",
  "/vmprovisioner.v1.VmService/GetVmInfo": "read",
  "/vmprovisioner.v1.VmService/ListVms": "read",
  "/warder.v1.VmService/CreateVm": "operate",
  "/warder.v1.VmService/RunVm": "operate",
  "/warder.v1.VmService/StartVm": "operate",
  "/warder.v1.VmService/StopVm": "operate",
  "/warder.v1.VmService/KillVm": "operate",
  "/warder.v1.VmService/PauseVm": "operate",
  "/warder.v1.VmService/ResumeVm": "operate",
  "/warder.v1.VmService/RebootVm": "operate",
  "/warder.v1.VmService/RemoveVm": "operate",
  "/warder.v1.VmService/ProveVm": "operate",
  "/warder.v1.VmService/SetRateLimit": "operate",
  "/warder.v1.VmService/GetMetadata": "operate",
  "/warder.v1.VmService/SetMetadata": "operate",
  "/warder.v1.VmService/StreamVsock": "operate",
  "/warder.v1.VmService/CountDrops": "read",
  "/warder.v1.VmService/GetVm": "read",
  "/warder.v1.VmService/ListVms": "read",
  "/warder.v1.VmService/WaitVm": "read",
  "/warder.v1.VmService/GetUsage": "read",
  "/warder.v1.VmService/WatchVms": "read",
  "/warder.v1.VmService/StreamOutput": "read",
  "/warder.v1.HostService/GetHost": "read",
  "/warder.v1.HostService/GetCapacity": "read",
  "/warder.v1.HostService/RunDoctor": "host admin",
  "/warder.v1.HostService/CollectGarbage": "host admin",
  "/warder.v1.HostService/ListNetworks": "host admin",
  "/warder.v1.HostService/GetNetwork": "host admin",
  "/warder.v1.HostService/RemoveNetwork": "host admin",
  "/warder.v1.AccessService/CreateToken": "host admin",
  "/warder.v1.AccessService/ListTokens": "host admin",
  "/warder.v1.AccessService/RevokeToken": "host admin",
  "/grpc.health.v1.Health/Check": "anybody",
  "/grpc.health.v1.Health/Watch": "anybody",
};

type LooseClient = Readonly<Record<string, (request: object, options: object) => Promise<{ vms: unknown[] }>>>;

const methods = services.flatMap((service) => service.methods.map((method) => ({ service, method })));

/** Calls about one VM, which takes part in the question whose it is. */
const aboutOneVm = methods.filter(({ method }) =>
  method.input.fields.some(({ name }) => ["vm_id", "id", "opening"].includes(name) && isVmCall(method)),
);

function isVmCall(method: DescMethod): boolean {
  return method.parent.name === "VmService" && !["CreateVm", "WatchVms"].includes(method.name);
}

const callers: readonly Caller[] = roles.flatMap((role) => [
  { name: role, key: `all-${role}`, role },
  { name: role, key: `acme-${role}`, role, tenant: "acme" as Tenant },
]);

/** The status that a call ends with; `ok` where it does not fail. Streams are left after their first message. */
async function statusOf(transport: Transport, service: DescService, method: DescMethod, token: string, vmId: string) {
  const client = createClient(service, transport) as Record<string, (...args: unknown[]) => unknown>;
  const about = { vmId, id: vmId, opening: { id: vmId, port: 1 }, device: { case: "drive", value: "rootfs" } };
  const request = { ...about, name: "x", tenant: "acme", role: 1, ladder: [], config: metaldConfig };
  const members = method.input.members.map(({ localName }) => [localName, true]);
  const known = Object.fromEntries(members);
  const fields = Object.fromEntries(Object.entries(request).filter(([name]) => known[name] === true));
  const call = client[method.localName];
  assert.ok(call);
  const signal = AbortSignal.timeout(300);
  const options = { headers: { authorization: `Bearer ${token}` }, signal };
  try {
    const answer = call(method.methodKind === "bidi_streaming" ? once(fields) : fields, options);
    if (method.methodKind === "unary") await answer;
    else for await (const _message of answer as AsyncIterable<unknown>) break;
    return "Ok";
  } catch (error) {
    return signal.aborted ? "Ok" : (Code[ConnectError.from(error).code] ?? "?");
  }
}

async function* once<T>(item: T) {
  yield item;
}

function open(caller: Caller) {
  const host = new FakeHost();
  const { transport } = serveInMemory(host, { arrival: { door: "tls" }, tokens: { secret: caller } });
  return { host, transport };
}

test("every call that there is has its place in the table", () => {
  const found = methods.map(({ method }) => procedureOf(method));
  assert.deepEqual(found.toSorted(), Object.keys(expected).toSorted());
  for (const [procedure, who] of Object.entries(expected)) {
    const permission = permissionOf(procedure);
    assert.ok(permission, procedure);
    assert.equal(permission.isForHost === true ? `host ${permission.role}` : permission.role, who, procedure);
  }
});

describe("role by role, call by call", () => {
  for (const caller of callers) {
    test(`${caller.role} of ${caller.tenant ?? "all tenants"}`, async () => {
      const { transport } = open(caller);
      for (const { service, method } of methods) {
        const procedure = procedureOf(method);
        const status = await statusOf(transport, service, method, "secret", "none");
        assert.equal(status === "PermissionDenied", !isAllowed(caller, procedure), `${procedure}: ${status}`);
        assert.notEqual(status, "Unauthenticated", procedure);
        assert.notEqual(status, "Internal", procedure);
      }
    });
  }

  function isAllowed({ role, tenant }: Caller, procedure: string): boolean {
    const who = expected[procedure];
    if (who === "anybody") return true;
    if (who === "host admin") return role === "admin" && tenant === undefined;
    // Files outside the directories for assets are refused as well: the fake has none.
    if (procedure === "/vmprovisioner.v1.VmService/CreateVm" && (tenant !== undefined || role !== "admin"))
      return false;
    return roles.indexOf(role) >= roles.indexOf(who ?? "admin");
  }
});

test("without a token every call but those about the daemon's health is refused", async () => {
  const { transport } = serveInMemory(new FakeHost(), { arrival: { door: "tls" } });
  for (const { service, method } of methods) {
    const status = await statusOf(transport, service, method, "wrong", "none");
    const isOpen = expected[procedureOf(method)] === "anybody";
    assert.equal(status === "Unauthenticated", !isOpen, `${procedureOf(method)}: ${status}`);
  }
});

describe("another tenant's VM", () => {
  const foreign: Caller = { name: "b", key: "b", role: "admin", tenant: "other" as Tenant };

  for (const { service, method } of aboutOneVm) {
    test(`is not there for ${procedureOf(method)}`, async () => {
      const { host, transport } = open(foreign);
      await (await host.create({ id: "theirs", kernel: "probe", tenant: "acme" })).start();
      const before = JSON.stringify(host.records());
      assert.equal(await statusOf(transport, service, method, "secret", "theirs"), "NotFound");
      assert.equal(JSON.stringify(host.records()), before, "it was touched");
    });
  }

  test("is in no list, and the answer about it is that about no VM, word for word", async () => {
    const { host, transport } = open(foreign);
    await host.create({ id: "theirs", kernel: "probe", tenant: "acme" });
    const [metald, own] = services.filter(({ name }) => name === "VmService");
    assert.ok(metald && own);
    for (const service of [metald, own]) {
      const client: LooseClient = createClient(service, transport) as never;
      const options = { headers: { authorization: "Bearer secret" } };
      assert.deepEqual((await client.listVms?.({ all: true }, options))?.vms, []);
      const look = client[service === metald ? "getVmInfo" : "getVm"] ?? assert.fail("no such call");
      const messageAbout = async (id: string): Promise<string> => {
        const error = await look({ id, vmId: id }, options).then(() => assert.fail("it was told"), ConnectError.from);
        return error.rawMessage.replaceAll(id, "ID");
      };
      assert.equal(await messageAbout("theirs"), await messageAbout("absent"));
    }
  });
});
