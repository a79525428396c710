import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { blindObserver, type Happening } from "../observability/observer.ts";
import type { Store } from "../store/store.ts";
import type { VmChange } from "../vm/change.ts";
import type { VmRecord } from "../vm/record.ts";
import { tellChanges } from "./tell-changes.ts";

/** A store with one VM, whose changes a test makes up. */
function told() {
  const happenings: Happening[] = [];
  let record: Partial<VmRecord> | undefined;
  let listener: (change: VmChange) => void = () => undefined;
  const changes = {
    subscribe(each: typeof listener) {
      listener = each;
      return () => {
        listener = () => undefined;
      };
    },
  };
  const store = { changes, get: () => record } as unknown as Store;
  const end = tellChanges(store, { ...blindObserver, tell: (happening) => void happenings.push(happening) });
  return {
    happenings,
    end,
    change(state: VmChange["state"], previous: VmChange["previous"], after: Partial<VmRecord> | undefined) {
      record = after === undefined || state === "removed" ? undefined : { ...after, state };
      listener({ state, previous } as VmChange);
    },
  };
}

const exit = { cause: "guest-panic", code: 0, signal: null, evidence: [], at: 0 } as const;
const control = (name: string, ok: boolean) => ({ name, ok, phase: "held", wanted: "a", found: "b" }) as const;

describe("what an observer is told of VMs' changes", () => {
  test("how isolated a VM is once it runs, and which controls are not as asked", () => {
    const { happenings, change } = told();
    const controls = [control("uid", true), control("limit.memory", false)];
    change("running", "starting", { isolation: { level: "degraded", policy: "degrade", controls, gaps: ["…", "…"] } });
    assert.deepEqual(happenings, [{ kind: "isolation-judged", level: "degraded", gaps: ["limit.memory"] }]);
  });

  test("nothing where a VM that was paused runs on, or was not judged", () => {
    const { happenings, change } = told();
    const isolation = { level: "proven", policy: "strict", controls: [], gaps: [] } as const;
    change("running", "paused", { isolation });
    change("running", "starting", {});
    change("stopping", "running", { isolation });
    assert.deepEqual(happenings, []);
  });

  test("each end with its cause, and whether the VM is started again", () => {
    const { happenings, change } = told();
    change("exited", "running", { exit });
    change("failed", "starting", { exit: { ...exit, cause: "start-failed" } });
    change("restarting", "running", { history: [{ incarnation: 1, exit }] });
    assert.deepEqual(happenings, [
      { kind: "vm-ended", cause: "guest-panic", isToRestart: false },
      { kind: "vm-ended", cause: "start-failed", isToRestart: false },
      { kind: "vm-ended", cause: "guest-panic", isToRestart: true },
    ]);
  });

  test("nothing of a removal, of an end without a cause, or once it is over", () => {
    const { happenings, change, end } = told();
    change("removed", "exited", undefined);
    change("exited", "running", {});
    change("restarting", "running", { history: [] });
    end();
    change("exited", "running", { exit });
    assert.deepEqual(happenings, []);
  });
});
