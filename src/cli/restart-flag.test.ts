import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { restart } from "./restart-flag.ts";

test("a restart policy is read with its ceiling", () => {
  assert.deepEqual(restart("never"), { value: { policy: "never" } });
  assert.deepEqual(restart("always"), { value: { policy: "always" } });
  assert.deepEqual(restart("always:9"), { value: { policy: "always", maxRetries: 9 } });
  assert.deepEqual(restart("on-failure:5"), { value: { policy: "on-failure", maxRetries: 5 } });
});

test("anything else is refused with the form", () => {
  const known = /^(never|(always|on-failure)(:\d{1,9})?)$/;
  const texts = fc.oneof(fc.string(), fc.constantFrom("", "on-failure:", "never:1", "always:-1", "always:1.5", "no"));
  fc.assert(
    fc.property(texts, (text) => {
      fc.pre(!known.test(text));
      const parsed = restart(text);
      assert.ok("problem" in parsed && parsed.problem.startsWith("must be never, always or on-failure"));
    }),
  );
});
