import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { contextOn, fineDeps, runCheck, settingsOn } from "../../../test/support/doctor-context.ts";
import { toHostPath } from "../../vm/path.ts";
import type { BinaryReport, Check, DoctorDeps, DoctorSettings } from "../check.ts";
import { binaryChecks } from "./binaries.ts";

const codes = binaryChecks.map(({ code }) => code);

/** The statuses of all checks of binaries, by code; those that are fine left out. */
async function troubles(
  t: TestContext,
  deps: Partial<DoctorDeps>,
  settings: Partial<DoctorSettings> = {},
): Promise<Record<string, string>> {
  const context = contextOn(t, { deps, settings });
  const verdicts = await Promise.all(
    codes.map(async (code) => [code, (await runCheck(binaryChecks, code, context)).status] as const),
  );
  return Object.fromEntries(verdicts.filter(([, status]) => status !== "ok"));
}

const wrong = (name: string, kind: string): Partial<DoctorDeps> => ({
  examineBinary: (path): BinaryReport =>
    path.endsWith(`/${name}`)
      ? { path, resolved: path, problems: [{ kind, why: `${path} is ${kind}` }] }
      : fineDeps.examineBinary(path),
});

test("a good pair troubles no check", async (t) => {
  assert.deepEqual(await troubles(t, {}), {});
});

test("binaries that nobody named are problems, and other checks have nothing to look at", async (t) => {
  const { firecracker: _firecracker, jailer: _jailer, ...settings } = settingsOn(toHostPath("/x"));
  const context = { ...contextOn(t), settings };
  const statuses = await Promise.all(codes.map(async (code) => (await runCheck(binaryChecks, code, context)).status));
  assert.deepEqual(statuses, ["problem", "problem", "skipped", "skipped", "skipped", "skipped"]);
});

test("where none was found, it is said where was looked and why what was there is no good", async (t) => {
  const { firecracker: _firecracker, ...settings } = settingsOn(toHostPath("/x"));
  const searched = [
    { source: "path", outcome: "passed over /usr/bin/firecracker: it belongs to user 1000" },
    { source: "cache", outcome: "none in /root/.cache" },
  ];
  const verdict = await runCheck(binaryChecks, "firecracker-binary", {
    ...contextOn(t),
    settings: { ...settings, searched },
  });
  assert.equal(
    verdict.found,
    "none was found (path: passed over /usr/bin/firecracker: it belongs to user 1000; cache: none in /root/.cache)",
  );
});

const unread = { "binaries-version-match": "skipped", "binaries-supported": "skipped" };

for (const [name, kind, code] of [
  ["firecracker", "missing", "firecracker-binary"],
  ["firecracker", "not-executable", "firecracker-binary"],
  ["jailer", "wrong-architecture", "jailer-binary"],
  ["firecracker", "not-static", "binaries-static"],
  ["jailer", "changeable", "binaries-owner"],
] as const) {
  test(`a ${name} that is ${kind} is ${code}'s problem alone, and is not run`, async (t) => {
    let runs = 0;
    const readVersion = async (): Promise<string> => `${++runs}`;
    assert.deepEqual(await troubles(t, { ...wrong(name, kind), readVersion }), { [code]: "problem", ...unread });
    assert.equal(runs, 0);
  });
}

test("a directory above both is named once", async (t) => {
  const examineBinary = (path: BinaryReport["path"]): BinaryReport => ({
    path,
    resolved: path,
    problems: [{ kind: "changeable", why: "/opt is writable by others than root" }],
  });
  const verdict = await runCheck(binaryChecks, "binaries-owner", contextOn(t, { deps: { examineBinary } }));
  assert.equal(verdict.found, "/opt is writable by others than root");
});

test("two versions do not go together", async (t) => {
  const readVersion: DoctorDeps["readVersion"] = async (path) => (path.endsWith("jailer") ? "1.15.1" : "1.16.1");
  const check = binaryChecks.find(({ code }) => code === "binaries-version-match") as Check;
  const verdict = await check.run(contextOn(t, { deps: { readVersion } }));
  assert.deepEqual(verdict, { status: "problem", found: "Firecracker is 1.16.1 and the jailer is 1.15.1" });
});

test("a version out of support is worth a warning, with the reason", async (t) => {
  const verdict = await runCheck(
    binaryChecks,
    "binaries-supported",
    contextOn(t, { deps: { readVersion: async () => "1.12.1" } }),
  );
  assert.deepEqual(verdict, { status: "warning", found: "1.12.1 is out of support" });
});
