import assert from "node:assert/strict";
import { test } from "node:test";
import { contextOn, runCheck } from "../../../test/support/doctor-context.ts";
import type { ProbeOutput } from "../probe-output.ts";
import { kvmChecks } from "./kvm.ts";

const whole: ProbeOutput = { up: true, woke: true, complete: true, instructionsPerSecond: 2_500_000_000 };
const probing = (output: ProbeOutput) => ({ probe: async () => output });
const failing = {
  probe: async (): Promise<ProbeOutput> => {
    throw new Error("the jailer ended early");
  },
};

test("a host without /dev/kvm has a problem", async (t) => {
  const verdict = await runCheck(kvmChecks, "kvm-device", contextOn(t));
  assert.equal(verdict.status, "problem");
  assert.match(verdict.found, /\/dev\/kvm is not there$/);
});

test("a file by the name of /dev/kvm is not taken for it", async (t) => {
  const verdict = await runCheck(kvmChecks, "kvm-device", contextOn(t, { files: { "dev/kvm": "" } }));
  assert.match(verdict.found, /is not KVM's device$/);
});

test("without a probe its checks are skipped, with how to ask for it", async (t) => {
  for (const code of ["probe", "kvm-speed"] as const) {
    const verdict = await runCheck(kvmChecks, code, contextOn(t));
    assert.deepEqual([verdict.status, verdict.found], ["skipped", "not asked for: run `warder doctor --probe`"]);
  }
});

for (const { what, output, probe, speed } of [
  { what: "a whole run on hardware", output: whole, probe: "ok", speed: "ok" },
  {
    what: "a whole run where KVM emulates",
    output: { ...whole, instructionsPerSecond: 1_400_000 },
    probe: "ok",
    speed: "warning",
  },
  { what: "a guest that no interrupt woke", output: { ...whole, woke: false }, probe: "warning", speed: "ok" },
  {
    what: "a guest that stopped halfway",
    output: { up: true, woke: false, complete: false },
    probe: "problem",
    speed: "skipped",
  },
  { what: "a silent guest", output: { up: false, woke: false, complete: false }, probe: "problem", speed: "skipped" },
] as const) {
  test(`${what}: probe ${probe}, speed ${speed}`, async (t) => {
    const context = contextOn(t, probing(output));
    assert.equal((await runCheck(kvmChecks, "probe", context)).status, probe);
    assert.equal((await runCheck(kvmChecks, "kvm-speed", context)).status, speed);
  });
}

test("the speed is told in millions", async (t) => {
  const slow = await runCheck(
    kvmChecks,
    "kvm-speed",
    contextOn(t, probing({ ...whole, instructionsPerSecond: 1_432_100 })),
  );
  assert.equal(slow.found, "1.4 million guest instructions a second");
  assert.equal(
    (await runCheck(kvmChecks, "kvm-speed", contextOn(t, probing(whole)))).found,
    "2500 million guest instructions a second",
  );
});

test("a probe that can not be run is one problem, not two", async (t) => {
  const context = contextOn(t, failing);
  assert.deepEqual(await runCheck(kvmChecks, "probe", context), { status: "problem", found: "the jailer ended early" });
  assert.equal((await runCheck(kvmChecks, "kvm-speed", context)).status, "skipped");
});
