import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { Deadline } from "./deadline.ts";

// Neither kind of timer keeps a process.
let alive: NodeJS.Timeout | undefined;
before(() => {
  alive = setInterval(() => undefined, 1_000);
});
after(() => clearInterval(alive));

test("a deadline fires with the reason of AbortSignal.timeout", async () => {
  using deadline = new Deadline(1);
  const others = AbortSignal.timeout(1);
  await Promise.all([deadline.signal, others].map((signal) => signal.aborted || once(signal, "abort")));
  const { reason } = deadline.signal as { reason: DOMException };
  assert.deepEqual([reason.name, reason.message], [others.reason.name, others.reason.message]);
});

test("one that is let go of never fires", async () => {
  const deadline = new Deadline(1);
  deadline[Symbol.dispose]();
  const later = AbortSignal.timeout(5);
  await once(later, "abort");
  assert.equal(deadline.signal.aborted, false);
});
