import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeHost } from "../../../test/support/rpc/fake-host.ts";
import type { Caller } from "../../access/caller.ts";
import type { Tenant } from "../../vm/belongings.ts";
import type { VmChange } from "../../vm/change.ts";
import { isWarderError } from "../../vm/error.ts";
import type { VmSpecInput } from "../../vm/spec.ts";
import { Admission, type Totals } from "../admission/admission.ts";
import { HostScope } from "./scope.ts";

const of = (tenant: string, role: Caller["role"] = "operate"): Caller => ({
  name: tenant,
  key: tenant,
  role,
  tenant: tenant as Tenant,
});
const root: Caller = { name: "root", key: "root", role: "admin" };

/** Links that lead out of the directory for assets. */
const links: Readonly<Record<string, string>> = { "/assets/link": "/etc/shadow" };

function open(totals: Totals = {}, defaults: Partial<VmSpecInput> = {}) {
  const host = new FakeHost();
  const admission = new Admission({
    records: () => host.records(),
    totals: () => totals,
    quotaOf: () => ({}),
    demand: () => ({ overheadMib: 0, fileBytes: () => 0 }),
  });
  let now = 0n;
  const scope = (caller: Caller) =>
    new HostScope(caller, {
      host,
      admission,
      assets: {
        directories: ["/assets"],
        resolve(path) {
          if (path.includes("missing")) throw new Error("ENOENT");
          return links[path] ?? path;
        },
      },
      vmDefaults: () => defaults,
      nowNanoseconds: () => ++now,
    });
  return { host, scope };
}

async function refusal(work: Promise<unknown>) {
  const error = await work.then(
    () => assert.fail("it was taken"),
    (reason: unknown) => reason,
  );
  assert.ok(isWarderError(error), String(error));
  return { code: error.code, fields: error.fields.map(({ field }) => field), why: error.why };
}

describe("a tenant's VM", () => {
  test("belongs to it without its saying so, and to no other whatever it says", async () => {
    const { scope } = open();
    const vm = await scope(of("acme")).create({ kernel: "probe" });
    assert.equal(vm.record.spec.tenant, "acme");
    const { code, fields } = await refusal(scope(of("acme")).create({ kernel: "probe", tenant: "other" }));
    assert.deepEqual([code, fields], ["forbidden", ["tenant"]]);
  });

  test("is made for it by who has the whole host", async () => {
    const { scope } = open();
    await scope(root).create({ id: "a", kernel: "probe", tenant: "acme" });
    assert.equal(scope(of("acme")).get("a").record.id, "a");
    assert.throws(() => scope(of("other")).get("a"), { code: "vm-not-found" });
  });

  test("without a tenant is the default tenant's", async () => {
    const { scope } = open();
    await scope(root).create({ id: "a", kernel: "probe" });
    assert.equal(scope(of("default")).records().length, 1);
    assert.equal(scope(of("acme")).records().length, 0);
  });

  test("keeps its id from others, also once it has ended, and nothing is told of it", async () => {
    const { host, scope } = open();
    const vm = await scope(of("acme")).run({ id: "a", kernel: "probe" });
    for (const state of ["running", "exited"]) {
      assert.equal(vm.record.state, state);
      const { code, why } = await refusal(scope(of("other")).create({ id: "a", kernel: "probe" }));
      assert.deepEqual([code, why], ["vm-exists", "the id is taken"]);
      if (state === "running") await vm.stop();
    }
    assert.equal(host.records().length, 1);
  });

  test("and another's may be made with the same idempotency key", async () => {
    const { host, scope } = open();
    const made = ["acme", "acme", "other"].map((tenant) =>
      scope(of(tenant)).create({ kernel: "probe" }, { idempotencyKey: "k" }),
    );
    const ids = (await Promise.all(made)).map(({ record }) => record.id);
    assert.equal(new Set(ids).size, 2);
    assert.equal(host.records().length, 2);
  });
});

describe("what reaches beyond a VM", () => {
  const closed: readonly [string, Partial<VmSpecInput>][] = [
    ["jailed", { jailed: false, policy: "degrade" }],
    ["policy", { policy: "degrade" }],
    ["uid", { uid: 1000 }],
    ["gid", { uid: 1000, gid: 1000 }],
    ["netns", { netns: "/proc/1/ns/net" }],
    ["limits", { limits: { cpuWeight: 10_000 } }],
    ["apiSocket", { apiSocket: "/x" }],
    ["networks", { networks: [{ mode: "bridge", bridge: "br0" }] }],
    ["networks", { networks: [{ mode: "egress", allow: ["10.0.0.1"] }] }],
    ["networks", { networks: ["network=blue"] }],
    ["restart", { restart: { policy: "always", backoffMs: 10 } }],
    ["unheardOf", { unheardOf: 1 } as unknown as Partial<VmSpecInput>],
    ["valueOf", { valueOf: 1 } as unknown as Partial<VmSpecInput>],
  ];

  for (const [member, input] of closed) {
    test(`is for admins of the whole host alone: ${JSON.stringify(input)}`, async () => {
      const { scope } = open();
      for (const caller of [of("acme"), of("acme", "admin"), { ...root, role: "operate" as const }]) {
        const { code, fields } = await refusal(scope(caller).create({ kernel: "probe", ...input }));
        assert.equal(code, "forbidden");
        assert.ok(fields.includes(member), fields.join());
      }
    });
  }

  test("is the host's to give where nothing is said", async () => {
    const { scope } = open({}, { uid: 1000, gid: 1000, limits: { pids: 5 } });
    const { spec } = (await scope(of("acme")).create({ kernel: "probe" })).record;
    assert.deepEqual([spec.uid, spec.limits.pids], [1000, 5]);
  });

  test("may be said where it asks for nothing", async () => {
    const { scope } = open();
    const networks = ["isolated", { mode: "egress" as const }];
    await scope(of("acme")).create({ kernel: "probe", jailed: true, policy: "strict", networks });
  });
});

describe("files of the host", () => {
  const tenant = of("acme");

  test("below the directories for assets may be had", async () => {
    const { scope } = open();
    await scope(tenant).create({ kernel: "/assets/vmlinux", initrd: "/assets/a/b", drives: [{ path: "/assets/d" }] });
  });

  test("elsewhere may not, by whatever way, and whether they are there is not told", async () => {
    const { scope } = open();
    const paths = ["/etc/shadow", "/assets", "/assets-of-others/x", "/assets/link", "/assets/missing", "/missing"];
    const whys = new Set<string>();
    for (const path of paths) {
      const { code, fields, why } = await refusal(
        scope(tenant).create({ kernel: path, initrd: path, drives: [{ path, readOnly: true }] }),
      );
      assert.deepEqual([code, fields], ["forbidden", ["kernel", "initrd", "drives[0].path"]], path);
      whys.add(why);
    }
    assert.equal(whys.size, 1);
  });

  test("are all open to admins of the whole host", async () => {
    const { scope } = open();
    await scope(root).create({ kernel: "/etc/vmlinux" });
  });
});

describe("room", () => {
  test("is asked for by every VM that is made, however many come at once", async () => {
    const { host, scope } = open({ vms: 3 });
    const made = await Promise.allSettled(Array.from({ length: 20 }, () => scope(root).create({ kernel: "probe" })));
    assert.equal(made.filter(({ status }) => status === "fulfilled").length, 3);
    assert.equal(host.records().length, 3);
  });

  test("is given back by a start that fails", async () => {
    const { host, scope } = open({ vms: 1 });
    host.gate = async (doing) => {
      if (doing === "start") throw new Error("no");
    };
    await assert.rejects(scope(root).run({ kernel: "probe" }));
    host.gate = async () => undefined;
    await scope(root).run({ kernel: "probe" });
  });

  test("is asked for again by a VM that has ended and is started", async () => {
    const { scope } = open({ vms: 1 });
    const first = await scope(root).run({ kernel: "probe" });
    await first.stop();
    const second = await scope(root).run({ kernel: "probe" });
    assert.equal((await refusal(first.start())).code, "no-room");
    await second.stop();
    await first.start();
  });
});

describe("changes", () => {
  test("are told of the tenant's VMs alone, their removal included", async () => {
    const { scope } = open();
    const over = new AbortController();
    const told: Pick<VmChange, "id" | "state">[] = [];
    const watching = (async () => {
      for await (const { id, state } of scope(of("acme")).watch({ since: 0, signal: over.signal })) {
        told.push({ id, state });
        if (id === "last") over.abort();
      }
    })();
    for (const tenant of ["acme", "other"]) {
      const vm = await scope(of(tenant)).run({ id: `${tenant}-1`, kernel: "probe" });
      await vm.stop();
      // Lets the watcher see them while their records are there.
      await new Promise(setImmediate);
      await vm.remove();
    }
    await scope(of("acme")).create({ id: "last", kernel: "probe" });
    await watching;
    assert.deepEqual(
      told.map(({ id, state }) => `${id} ${state}`),
      ["acme-1 created", "acme-1 running", "acme-1 exited", "acme-1 removed", "last created"],
    );
  });
});
