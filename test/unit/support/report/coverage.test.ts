import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { measureCoverage } from "../../../support/report/coverage.ts";

const SIGN = `/** Says which sign a number has; the ß and the → are there to shift what counts bytes. */
export interface Numbers {
  readonly n: number;
}

export function sign({ n }: Numbers): "−" | "+" {
  if (n < 0) {
    return "−";
  }
  return (n as number) >= 0 ? "+" : "−";
}
`;

/** A project with the given sources, and what running programs in it leaves. */
function project(t: TestContext, files: Record<string, string>) {
  const root = mkdtempSync(join(tmpdir(), "warder-measured-"));
  t.after(() => rmSync(root, { recursive: true }));
  const raw = join(root, "raw");
  for (const [path, text] of Object.entries({ "package.json": '{ "type": "module" }', ...files })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return {
    raw,
    run(program: string, where = "") {
      const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", program];
      const env = { ...process.env, NODE_V8_COVERAGE: join(raw, where) };
      const { status, stderr } = spawnSync(process.execPath, args, { cwd: root, env, encoding: "utf8" });
      assert.equal(status, 0, stderr);
    },
    measure: () => measureCoverage(root, raw),
  };
}

describe("measureCoverage", () => {
  it("finds the lines and branches that did not run, in the TypeScript as it is written", async (t) => {
    const { run, measure } = project(t, { "src/sign.ts": SIGN });
    run('import { sign } from "./src/sign.ts"; sign({ n: 1 });');
    const { files, lines, branches, processes } = await measure();
    assert.deepEqual(files, [
      {
        path: "src/sign.ts",
        lines: { covered: 4, total: 6 },
        branches: { covered: 2, total: 4 },
        missedLines: [8, 9],
        missedBranches: [7, 10],
      },
    ]);
    assert.deepEqual([lines, branches, processes], [files[0]?.lines, files[0]?.branches, 1]);
  });

  it("adds up what several processes ran, in whatever directory they left it", async (t) => {
    const { run, measure } = project(t, { "src/sign.ts": SIGN });
    run('import { sign } from "./src/sign.ts"; sign({ n: 1 });');
    run('import { sign } from "./src/sign.ts"; sign({ n: -1 }); sign({ n: NaN });', "lab/coverage");
    const { lines, branches, processes } = await measure();
    assert.deepEqual([lines.covered, branches.covered, processes], [6, 4, 2]);
  });

  it("counts a source that nothing loads as not covered, but none of types only, and no test", async (t) => {
    const { run, measure } = project(t, {
      "src/sign.ts": SIGN,
      "src/unseen.ts": "export const three = Math.random() > 2 ? 3 : 4;\n",
      "src/types.ts": "/** A type. */\nexport interface Two { readonly two: 2 }\n",
      "src/sign.test.ts": "export const test = 1;\n",
    });
    run('import { sign } from "./src/sign.ts"; sign({ n: 1 });');
    const { files, lines } = await measure();
    assert.deepEqual(
      files.map(({ path, lines: { covered, total } }) => [path, covered, total]),
      [
        ["src/sign.ts", 4, 6],
        ["src/types.ts", 0, 0],
        ["src/unseen.ts", 0, 1],
      ],
    );
    assert.deepEqual(lines, { covered: 4, total: 7 });
  });

  it("leaves out the half file of a process that was killed, and names it", async (t) => {
    const { raw, run, measure } = project(t, { "src/sign.ts": SIGN });
    run('import { sign } from "./src/sign.ts"; sign({ n: 1 });');
    const whole = readFileSync(join(raw, readdirSync(raw)[0] ?? ""), "utf8");
    writeFileSync(join(raw, "coverage-1-2-0.json"), whole.slice(0, whole.length / 2));
    writeFileSync(join(raw, "coverage-1-3-0.json"), "");
    const { broken, lines, processes } = await measure();
    assert.deepEqual(broken.toSorted(), ["coverage-1-2-0.json", "coverage-1-3-0.json"]);
    assert.deepEqual([lines.covered, processes], [4, 1]);
  });

  it("counts a line that a comment asks to leave out", async (t) => {
    const { run, measure } = project(t, {
      "src/one.ts": "/* v8 ignore next */\nif (Math.random() > 2) process.exit();\n",
    });
    run('import "./src/one.ts";');
    assert.deepEqual((await measure()).branches, { covered: 1, total: 2 });
  });

  it("is nothing where no process left anything", async (t) => {
    const { measure } = project(t, { "src/sign.ts": SIGN });
    const { lines, processes } = await measure();
    assert.deepEqual([lines, processes], [{ covered: 0, total: 6 }, 0]);
  });
});
