import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { requires } from "../../support/capability.ts";

const ROOT = join(import.meta.dirname, "../../..");

const RUNNER = [
  "scripts/test.ts",
  "test/support/capability-probes.ts",
  "test/support/capability.ts",
  "test/support/cgroup-mounts.ts",
  "test/support/report",
  "test/support/reporter.ts",
];
const GOOD_CHECK = { scripts: { check: "true" }, type: "module" };
const PASSING = 'import { it } from "node:test"; it("works", () => {});';
const SOURCE = "export const one = 1;";
const LOADING = `import { one } from "./one.ts"; ${PASSING} void one;`;

/** A project of its own with the real runner and the given files, which is gone after the test. */
function project(t: TestContext, files: Record<string, string>, manifest: object = GOOD_CHECK) {
  const directory = mkdtempSync(join(tmpdir(), "warder-runner-"));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const path of RUNNER) cpSync(join(ROOT, path), join(directory, path), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(directory, "node_modules"));
  for (const [path, text] of Object.entries({ "package.json": JSON.stringify(manifest), ...files })) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text, { mode: 0o755 });
  }
  return (args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
    const own = Object.entries(process.env).filter(
      ([name]) => !/^(WARDER_|LAB|NODE_TEST_CONTEXT|NODE_V8_COVERAGE)/.test(name),
    );
    const { stdout, stderr, status } = spawnSync(process.execPath, ["scripts/test.ts", ...args], {
      cwd: directory,
      encoding: "utf8",
      env: { ...Object.fromEntries(own), WARDER_KVM_SPEED: "slow", ...env },
    });
    return { stdout, stderr, status, last: stdout.trimEnd().split("\n").at(-1) };
  };
}

describe("scripts/test.ts", () => {
  it("runs all tiers after the static checks and adds them up", (t) => {
    const runTests = project(t, {
      "src/one.ts": SOURCE,
      "src/one.test.ts": LOADING,
      "test/integration/a.test.ts":
        'import { it } from "node:test"; it("waits", { skip: "needs kvm: none" }, () => {});',
    });
    const { stdout, status, last } = runTests([]);
    assert.match(stdout, /^phase static checks: started\nphase static checks: \d\.\d s$/m);
    assert.match(stdout, /^tier unit: 1 passed, 0 failed, 0 skipped in 1 file$/m);
    assert.match(stdout, /^tier integration: 0 passed, 0 failed, 1 skipped in 1 file$/m);
    assert.match(stdout, /^Skipped:\n {2}1 × needs kvm: none$/m);
    assert.equal(last, "1 passed, 0 failed, 1 skipped");
    assert.equal(status, 0);
  });

  it("takes a failed static check for a failure, and runs the tests all the same", (t) => {
    const files = { "src/one.ts": SOURCE, "src/one.test.ts": LOADING };
    const { last, status } = project(t, files, { scripts: { check: "false" }, type: "module" })([]);
    assert.equal(last, "1 passed, 1 failed, 0 skipped");
    assert.equal(status, 1);
  });

  it("runs only the tiers that are named, without checks and coverage", (t) => {
    const files = { "src/one.test.ts": 'throw new Error("no")', "test/e2e/a.test.ts": PASSING };
    const { stdout, last, status } = project(t, files)(["e2e"]);
    assert.doesNotMatch(stdout, /static checks|coverage:|tier unit/);
    assert.equal(last, "1 passed, 0 failed, 0 skipped");
    assert.equal(status, 0);
  });

  it("fails where no test ran", (t) => {
    const { stdout, last, status } = project(t, {})(["unit"]);
    assert.match(stdout, /^ {2}no test ran at all$/m);
    assert.equal(last, "0 passed, 1 failed, 0 skipped");
    assert.equal(status, 1);
  });

  it("skips the files of a lab that cannot be had, or fails if it must be there", (t) => {
    const runTests = project(t, { "test/lab/a.test.ts": PASSING, "test/lab/b.systemd.test.ts": PASSING });
    const noLab = { PATH: "/nowhere", LAB: "1" };
    const skipped = runTests(["lab"], noLab);
    assert.match(skipped.stdout, /^ {2}no test ran at all$/m);
    assert.equal(skipped.last, "0 passed, 1 failed, 2 skipped");
    assert.equal(skipped.status, 1);
    assert.match(skipped.stdout, /needs lab \+ lab-systemd: .*\n {6}test\/lab\/b\.systemd\.test\.ts: /);
    const required = runTests(["lab"], { ...noLab, WARDER_REQUIRE: "lab" });
    assert.equal(required.last, "0 passed, 2 failed, 0 skipped");
    assert.equal(required.status, 1);
  });

  it("refuses a tier that does not exist", (t) => {
    const { status, stderr } = project(t, {})(["units"]);
    assert.equal(status, 2);
    assert.match(stderr, /there is no tier units/);
  });
});

/** A lab whose machine fails as often as is said before it works, and which counts that. */
const labThatFails = (times: number) => `#!/bin/sh
echo attempt >> attempts
[ "$(wc -l < attempts)" -gt ${times} ] || exit 125
WARDER_TEST_REPORT=$LAB_OUT/report.json
mkdir -p "$LAB_OUT" && exec "$@"
`;

describe("a lab whose machine fails", requires("lab"), () => {
  const inLab = (t: TestContext, times: number) => {
    const runTests = project(t, { "test/lab/a.test.ts": PASSING, "lab/lab.sh": labThatFails(times) });
    return runTests(["lab"]);
  };

  it("is said, and the file gets another one", (t) => {
    const { stdout, status, last } = inLab(t, 1);
    assert.match(stdout, /^test\/lab\/a\.test\.ts: the lab failed, not the tests; once more in another$/m);
    assert.equal(last, "1 passed, 0 failed, 0 skipped");
    assert.equal(status, 0);
  });

  it("again is a failure", (t) => {
    const { stdout, status, last } = inLab(t, 2);
    assert.match(stdout, /^ {2}test\/lab\/a\.test\.ts: the tests ended with status 125 and left no report$/m);
    assert.equal(last, "0 passed, 1 failed, 0 skipped");
    assert.equal(status, 1);
  });
});

describe("coverage, where no tier is skipped", requires("root", "kvm", "real-binaries"), () => {
  it("is told where it is good", (t) => {
    const { stdout, status } = project(t, { "src/one.ts": SOURCE, "src/one.test.ts": LOADING })([]);
    assert.match(stdout, /^coverage: lines 100\.0 %, branches 100\.0 % of src\/, from 1 processes/m);
    assert.equal(status, 0);
  });

  it("is a failure where there is too little, with the sources that lack most", (t) => {
    const source = "export function one(n: number) {\n  if (n > 1) {\n    return 2;\n  }\n  return 1;\n}\n";
    const test = `import { one } from "./one.ts"; ${PASSING} one(1);`;
    const { stdout, last, status } = project(t, { "src/one.ts": source, "src/one.test.ts": test })([]);
    assert.match(stdout, /^coverage lacks most in:\n {2}src\/one\.ts: .*; not run: 3-4; branches not taken: 2$/m);
    assert.match(stdout, /^Failed:\n {2}coverage of lines below 90 %: .*\n {2}coverage of branches below 90 %: .*$/m);
    assert.equal(last, "1 passed, 2 failed, 0 skipped");
    assert.equal(status, 1);
  });

  it("counts the product's own processes, and a source that none loads", (t) => {
    const program = 'import { spawnSync } from "node:child_process"; import { it } from "node:test";';
    const { stdout, status } = project(t, {
      "src/program.ts": "console.log(1);\n",
      "src/unseen.ts": "export const three = 3;\n",
      "test/e2e/a.test.ts": `${program} it("runs", () => { spawnSync(process.execPath, ["src/program.ts"]); });`,
    })([]);
    assert.match(stdout, /^coverage: lines 50\.0 %, branches 100\.0 % of src\//m);
    assert.match(stdout, /^Failed:\n {2}coverage of lines below 90 %: 1 of 2 \(1 more are needed\)$/m);
    assert.equal(status, 1);
  });

  it("says why where it can not be measured", (t) => {
    const files = { "src/one.ts": SOURCE, "src/one.test.ts": LOADING, "src/broken.ts": "export const = ;" };
    const { stdout, status } = project(t, files)([]);
    assert.match(stdout, /^ {2}coverage could not be measured: SyntaxError: src\/broken\.ts can not be read/m);
    assert.equal(status, 1);
  });
});
