import assert from "node:assert/strict";
import { test } from "node:test";
import { contextOn } from "../../test/support/doctor-context.ts";
import { WarderError } from "../vm/error.ts";
import { type DoctorCode, doctorCatalogue, doctorCodes } from "./catalogue.ts";
import type { Check } from "./check.ts";
import { allChecks, runDoctor } from "./doctor.ts";
import { type Finding, ok, problem, skipped, warning } from "./report.ts";

const check = (code: DoctorCode, run: Check["run"]): Check => ({ code, run });
const never = (): Promise<never> => new Promise(() => undefined);
const { signal } = new AbortController();

test("every code has one check, and every check a code", () => {
  assert.deepEqual(allChecks.map(({ code }) => code).toSorted(), doctorCodes.toSorted());
});

test("every code is documented in whole sentences", () => {
  for (const [code, { title, cause, cure }] of Object.entries(doctorCatalogue)) {
    assert.doesNotMatch(title, /\.$/, code);
    for (const text of [cause, cure]) assert.match(text, /^[A-Z`].*\.$/, code);
  }
});

test("findings come in the catalogue's order and are told as they are made", async (t) => {
  const { host, settings, deps } = contextOn(t);
  const told: string[] = [];
  const report = await runDoctor(host, settings, deps, {
    signal,
    checks: [check("swap", () => ok("none")), check("root", () => ok("yes"))],
    onFinding: ({ code }) => told.push(code),
  });
  assert.deepEqual(
    report.findings.map(({ code }) => code),
    ["root", "swap"],
  );
  assert.deepEqual(told.toSorted(), ["root", "swap"]);
  assert.ok(report.durationMs >= 0);
});

test("warnings and skipped checks let jails be made, a problem does not", async (t) => {
  const { host, settings, deps } = contextOn(t);
  const canJail = async (...checks: Check[]): Promise<boolean> =>
    (await runDoctor(host, settings, deps, { signal, checks })).canJail;
  const fine = [
    check("swap", () => warning("on")),
    check("probe", () => skipped("no")),
    check("root", () => ok("yes")),
  ];
  assert.equal(await canJail(...fine), true);
  assert.equal(
    await canJail(
      ...fine,
      check("kvm-device", () => problem("none")),
    ),
    false,
  );
});

test("only what is wrong has cause and cure: the check's own, else the catalogue's", async (t) => {
  const { host, settings, deps } = contextOn(t);
  const checks = [
    check("root", () => ok("yes")),
    check("swap", () => warning("on")),
    check("uid-range", () => problem("taken", { cure: "Take another." })),
  ];
  const { findings } = await runDoctor(host, settings, deps, { signal, checks });
  const byCode = Object.fromEntries(findings.map((finding) => [finding.code, finding])) as Record<string, Finding>;
  assert.deepEqual(byCode.root, { code: "root", title: "Root", status: "ok", found: "yes" });
  assert.equal(byCode.swap?.cure, doctorCatalogue.swap.cure);
  assert.equal(byCode["uid-range"]?.cure, "Take another.");
  assert.equal(byCode["uid-range"]?.cause, doctorCatalogue["uid-range"].cause);
});

test("a check that fails is a finding: a problem where it is essential, else a warning", async (t) => {
  const { host, settings, deps } = contextOn(t);
  const fail = (): never => {
    throw new WarderError("tool-missing", {
      doing: "running mknod",
      why: "it is not installed",
      cure: "Install coreutils",
    });
  };
  const { findings } = await runDoctor(host, settings, deps, {
    signal,
    checks: [check("chroot-base-mount", fail), check("swap", fail)],
  });
  assert.deepEqual(
    findings.map(({ status }) => status),
    ["problem", "warning"],
  );
  assert.match(findings[0]?.found ?? "", /^it could not be checked: running mknod: it is not installed/);
  assert.equal(findings[0]?.cure, "Install coreutils.");
});

test("a check that takes too long is a finding, whether it minds its signal or not", async (t) => {
  const { host, settings, deps } = contextOn(t);
  const minding: Check["run"] = ({ signal: limited }) =>
    new Promise((_resolve, reject) => limited.addEventListener("abort", () => reject(new Error("stopped"))));
  const clock = { ...host.clock, sleep: (ms: number, until?: AbortSignal) => host.clock.sleep(ms / 100, until) };
  const checks = [
    { ...check("netns", minding), deadlineMs: 500 },
    { ...check("root", never), deadlineMs: 500 },
  ];
  const { findings } = await runDoctor({ ...host, clock }, settings, deps, { signal, checks });
  for (const { found } of findings) assert.match(found, /it took longer than 500 ms/);
});

test("a caller that gives up gets no report", async (t) => {
  const { host, settings, deps } = contextOn(t);
  const caller = new AbortController();
  const checks = [
    check("root", ({ signal: limited }) => {
      caller.abort();
      limited.throwIfAborted();
      return ok("yes");
    }),
  ];
  const run = runDoctor(host, settings, deps, { signal: caller.signal, checks });
  await assert.rejects(run, { name: "WarderError", code: "aborted" });
});

test("the guest is run once for all the checks that look at it, and only where it is asked for", async (t) => {
  const { host, settings, deps } = contextOn(t);
  let runs = 0;
  const runProbe = async () => {
    runs += 1;
    return { up: true, woke: true, complete: true, instructionsPerSecond: 1_400_000 };
  };
  const checks = allChecks.filter(({ code }) => code === "probe" || code === "kvm-speed");
  const { findings } = await runDoctor(host, settings, { ...deps, runProbe }, { signal, checks });
  assert.deepEqual(
    findings.map(({ status }) => status),
    ["ok", "warning"],
  );
  assert.equal(runs, 1);
});

test("an empty directory as a host makes no check throw", async (t) => {
  const { host, settings, deps } = contextOn(t);
  const { findings } = await runDoctor(host, settings, deps, { signal });
  assert.deepEqual(
    findings.map(({ code }) => code),
    doctorCodes,
  );
  assert.deepEqual(
    findings.filter(({ found }) => found.startsWith("it could not be checked")),
    [],
  );
});
