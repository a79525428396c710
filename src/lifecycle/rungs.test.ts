import assert from "node:assert/strict";
import { test } from "node:test";
import type { Store } from "../store/store.ts";
import { WarderError } from "../vm/error.ts";
import { toVmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import { enterRung, lastRung } from "./rungs.ts";

const record = { id: toVmId("x"), incarnation: 2, state: "running" } as VmRecord;

function storeThat(update: Store["update"]): Store {
  return { update, get: () => record } as unknown as Store;
}

test("a rung that the store has no room for is remembered, for this run of the VM", () => {
  const store = storeThat(() => {
    throw new WarderError("disk-full", { doing: "writing", why: "no room" });
  });
  assert.match(String(enterRung(store, record, "sigkill")), /no room/);
  assert.equal(lastRung(store, record), "sigkill");
  assert.equal(lastRung(store, { ...record, incarnation: 3 }), undefined);
});

test("a rung that is written down is the store's", () => {
  let written: VmRecord = record;
  const store = {
    update: (_id: string, change: (record: VmRecord) => VmRecord) => {
      written = change(written);
    },
    get: () => written,
  } as unknown as Store;
  assert.equal(enterRung(store, record, "sigterm"), undefined);
  assert.deepEqual([written.state, lastRung(store, record)], ["stopping", "sigterm"]);
});

test("any other failure is one", () => {
  const store = storeThat(() => {
    throw new WarderError("vm-not-found", { doing: "stopping", why: "it is gone" });
  });
  assert.throws(() => enterRung(store, record, "sigkill"), /it is gone/);
});
