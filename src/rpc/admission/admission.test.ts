import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Tenant } from "../../vm/belongings.ts";
import { isWarderError } from "../../vm/error.ts";
import { toVmId, type VmId } from "../../vm/id.ts";
import { parseVmSpec, type VmSpecInput } from "../../vm/spec.ts";
import type { VmState } from "../../vm/state.ts";
import { Admission, type Totals } from "./admission.ts";
import { leftOf, shortagesOf } from "./budget.ts";

const MIB = 1024 * 1024;

/** A host whose VMs are a list. */
function host(totals: Totals, quotas: Readonly<Record<string, Totals>> = {}) {
  const vms = new Map<VmId, { id: VmId; state: VmState; spec: ReturnType<typeof parseVmSpec> }>();
  const admission = new Admission({
    records: () => [...vms.values()],
    totals: () => totals,
    quotaOf: (tenant) => quotas[tenant] ?? {},
    demand: () => ({ overheadMib: 16, fileBytes: (path) => path.length * MIB }),
  });
  let count = 0;
  const accept = (input: Partial<VmSpecInput> = {}, state: VmState = "running") => {
    const id = toVmId(`vm-${++count}`);
    const spec = parseVmSpec({ kernel: "probe", ...input });
    const release = admission.reserve(id, spec);
    vms.set(id, { id, state, spec });
    release();
    return id;
  };
  return { admission, vms, accept };
}

function shortOf(accept: () => unknown) {
  try {
    accept();
  } catch (error) {
    assert.ok(isWarderError(error), String(error));
    return { code: error.code, fields: Object.fromEntries(error.fields.map(({ field, problem }) => [field, problem])) };
  }
  return assert.fail("it was accepted");
}

describe("a VM is accepted as long as there is", () => {
  test("memory, its overhead counted", () => {
    const { accept } = host({ memory: 3 * 144 * MIB });
    for (let each = 0; each < 3; each++) accept({ memoryMib: 128 });
    assert.deepEqual(shortOf(accept), {
      code: "no-room",
      fields: { memory: `${144 * MIB} bytes needed, 0 of ${432 * MIB} bytes left` },
    });
  });

  test("processors, as many as are overcommitted", () => {
    const { accept } = host({ vcpus: 3 });
    accept({ vcpus: 2 });
    assert.deepEqual(shortOf(() => accept({ vcpus: 2 })).fields, { vcpus: "2 needed, 1 of 3 left" });
    accept({ vcpus: 1 });
  });

  test("a place under the limit of VMs, and an id to run as", () => {
    const { accept } = host({ vms: 2, uids: 1 });
    accept();
    assert.deepEqual(shortOf(accept).fields, { uids: "1 needed, 0 of 1 left" });
    accept({ uid: 1000 });
    assert.deepEqual(shortOf(() => accept({ uid: 1001 })).fields, { vms: "1 needed, 0 of 2 left" });
  });

  test("room for the copies of its disks, until they are made", () => {
    const drives = [{ path: "/four" }, { path: "/shared-by-all", readOnly: true }];
    const { accept, vms } = host({ disk: 12 * MIB });
    const first = accept({ drives }, "created");
    accept({ drives }, "created");
    assert.deepEqual(shortOf(() => accept({ drives })).fields, {
      disk: `${5 * MIB} bytes needed, ${2 * MIB} of ${12 * MIB} bytes left`,
    });
    // What is copied is not free any more: it is not counted twice.
    const vm = vms.get(first);
    assert.ok(vm);
    vm.state = "running";
    accept({ drives });
  });

  test("what is short is told all at once", () => {
    const { accept } = host({ memory: 1, vcpus: 0, vms: 0 });
    assert.deepEqual(Object.keys(shortOf(accept).fields), ["memory", "vcpus", "vms"]);
  });
});

test("a VM that has ended holds nothing, and needs room again to be started", () => {
  const { admission, accept, vms } = host({ vms: 1 });
  const first = vms.get(accept());
  assert.ok(first);
  first.state = "exited";
  accept();
  assert.equal(shortOf(() => admission.reserve(first.id, first.spec)).code, "no-room");
});

test("a VM that is counted already is not counted twice when it is started", () => {
  const { admission, accept, vms } = host({ vms: 1 });
  const created = vms.get(accept({}, "created"));
  assert.ok(created);
  admission.reserve(created.id, created.spec)();
});

describe("a tenant's quota", () => {
  test("bounds that tenant alone", () => {
    const { accept } = host({ vms: 10 }, { acme: { vms: 1, memory: 1000 * MIB } });
    accept({ tenant: "acme" });
    assert.deepEqual(
      shortOf(() => accept({ tenant: "acme" })),
      {
        code: "quota-exceeded",
        fields: { "tenant-vms": "1 needed, 0 of 1 left" },
      },
    );
    accept({ tenant: "other" });
    accept();
  });

  test("is told beside what the host has", () => {
    const { admission, accept } = host({ vms: 10 }, { acme: { vcpus: 4 } });
    accept({ tenant: "acme", vcpus: 3 });
    const budgets = admission.budgets("acme" as Tenant).map((each) => [each.name, each.reserved, leftOf(each)]);
    assert.deepEqual(budgets, [
      ["vms", 1, 9],
      ["tenant-vcpus", 3, 1],
    ]);
  });
});

describe("VMs on their way", () => {
  test("are counted until they are there, and no longer where they fail", () => {
    const { admission, accept } = host({ vms: 1 });
    const release = admission.reserve(toVmId("a"), parseVmSpec({ kernel: "probe" }));
    assert.equal(shortOf(accept).code, "no-room");
    release();
    release();
    accept();
  });

  test("come in any order, and no more is ever given than there is", () => {
    const action = fc.record({
      kind: fc.constantFrom("reserve", "succeed", "fail", "end"),
      vcpus: fc.integer({ min: 1, max: 8 }),
      pick: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 100 }), fc.integer({ min: 0, max: 20 }), (actions, vcpus) => {
        const { admission, vms } = host({ vcpus });
        const underWay: { id: VmId; spec: ReturnType<typeof parseVmSpec>; release: () => void }[] = [];
        actions.forEach(({ kind, vcpus: own, pick }, index) => {
          const id = toVmId(`vm-${index}`);
          const [one] = underWay.length === 0 || kind === "reserve" ? [] : underWay.splice(pick % underWay.length, 1);
          if (kind === "reserve") {
            const spec = parseVmSpec({ kernel: "probe", vcpus: own });
            try {
              underWay.push({ id, spec, release: admission.reserve(id, spec) });
            } catch (error) {
              assert.ok(isWarderError(error) && error.code === "no-room");
            }
          } else if (kind === "end") {
            const [vm] = [...vms.values()].slice(pick % Math.max(1, vms.size));
            if (vm !== undefined) vm.state = "exited";
            if (one !== undefined) underWay.push(one);
          } else if (one !== undefined) {
            if (kind === "succeed") vms.set(one.id, { id: one.id, spec: one.spec, state: "running" });
            one.release();
          }
          const running = [...vms.values()].filter(({ state }) => state === "running");
          const given = [...running, ...underWay].reduce((sum, { spec }) => sum + spec.vcpus, 0);
          assert.ok(given <= vcpus, `${given} of ${vcpus}`);
          assert.equal(admission.budgets()[0]?.reserved, given);
        });
      }),
    );
  });
});

test("what is short is exactly what is asked for beyond what is left", () => {
  const budget = fc.record({
    name: fc.constantFrom("memory", "vcpus", "tenant-vms"),
    unit: fc.constant("" as const),
    total: fc.nat(),
    reserved: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(budget), fc.nat(), fc.nat(), (budgets, memory, vms) => {
      const short = new Set(shortagesOf({ memory, vms }, budgets).map(({ budget: each }) => each));
      for (const each of budgets) {
        const needed = each.name === "memory" ? memory : each.name === "tenant-vms" ? vms : 0;
        assert.equal(short.has(each), needed > Math.max(0, each.total - each.reserved));
      }
    }),
  );
});
