/**
 * Runs the project's tests: all tiers, with the static checks first, or the tiers named as arguments.
 *
 *   node scripts/test.ts [unit|integration|e2e|lab]…
 *
 * Its last line is `N passed, N failed, N skipped`, over all that ran; its status 1 if anything failed or nothing ran.
 */
import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type Capability, requires } from "../test/support/capability.ts";
import { measureCoverage } from "../test/support/report/coverage.ts";
import { coverageLines, coverageProblems } from "../test/support/report/coverage-text.ts";
import { Interrupted, reported, run, timed } from "../test/support/report/run.ts";
import { countOutcomes, type TestRecord, WHOLE_FILE } from "../test/support/report/tally.ts";
import { countsText } from "../test/support/report/text.ts";
import { endText, type RunReport } from "../test/support/reporter.ts";

/** Every tier and its test files. */
const TIERS = {
  unit: ["src/**/*.test.ts", "test/unit/**/*.test.ts"],
  integration: ["test/integration/**/*.test.ts"],
  e2e: ["test/e2e/**/*.test.ts"],
  lab: ["test/lab/**/*.test.ts"],
} as const;
type Tier = keyof typeof TIERS;
/** How many of them run on this machine itself. */
const HERE = Object.keys(TIERS).length - 1;

/** The labs there are: the first whose suffix fits takes a test file. */
const LABS: readonly { name: string; suffix: string; settings: Record<string, string>; needs: Capability[] }[] = [
  {
    name: "lab with SELinux",
    suffix: ".selinux.test.ts",
    settings: { LAB_LSM: "selinux" },
    needs: ["lab", "lab-selinux"],
  },
  {
    name: "lab with systemd",
    suffix: ".systemd.test.ts",
    settings: { LAB_SYSTEMD: "1" },
    needs: ["lab", "lab-systemd"],
  },
  { name: "lab", suffix: ".test.ts", settings: {}, needs: ["lab"] },
];

/** Of the lines and of the branches of all of src/, src/testing/ included: users test their own code with that. */
const COVERAGE_PERCENT = 90;
/** Where these are missing, whole tiers are skipped, and the coverage says nothing about the tests. */
const COVERAGE_NEEDS: readonly Capability[] = ["root", "kvm", "real-binaries"];

/** Tests wait on processes as often as they compute: two at a time even on one processor. */
const CONCURRENCY = Math.max(2, availableParallelism());
/** For what hangs: a test that waits has a deadline of its own, and a machine may be busy with other things. */
const TEST_TIMEOUT_MS = 10 * 60_000;
/** The lab's processor is emulated, some twenty times slower, and the guests in it are emulated again. */
const LAB_TEST_TIMEOUT_MS = 20 * 60_000;
const LAB_TIMEOUT_S = 30 * 60;
/** What the lab ends with where its machine failed, and not what ran in it. */
const LAB_FAILED = 125;
/** How often a test file gets a lab, where the lab's machine fails. */
const LAB_ATTEMPTS = 2;

const root = join(import.meta.dirname, "..");

async function main(): Promise<void> {
  needNode24();
  process.chdir(root);
  const tiers = chosenTiers(process.argv.slice(2));
  const isWhole = tiers.length === Object.keys(TIERS).length;
  const work = mkdtempSync(join(tmpdir(), "warder-test-"));
  try {
    const isJudged = tiers.filter((tier) => tier !== "lab").length === HERE && canJudgeCoverage();
    const reports = [
      ...(isWhole ? [await staticChecks()] : []),
      await runHere(tiers, work, isJudged),
      ...(tiers.includes("lab") ? await runLabs(work, isJudged) : []),
      ...(isJudged ? [await judgeCoverage(work)] : []),
    ];
    finish(tiers, reports);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** An npm script runs on the project's own Node; one started by hand may not. */
function needNode24(): void {
  const own = join(root, "node_modules/node/bin/node");
  if (Number.parseInt(process.versions.node, 10) >= 24) return;
  if (!existsSync(own)) {
    console.error(`Node ${process.version} is too old for the tests, and the project's own is missing: run \`npm ci\``);
    process.exit(1);
  }
  process.exit(spawnSync(own, process.argv.slice(1), { stdio: "inherit" }).status ?? 1);
}

function chosenTiers(names: readonly string[]): Tier[] {
  const all = Object.keys(TIERS) as Tier[];
  const unknown = names.filter((name) => !(name in TIERS));
  if (unknown.length > 0) {
    console.error(`usage: scripts/test.ts [${all.join("|")}]…    (there is no tier ${unknown.join(", ")})`);
    process.exit(2);
  }
  return names.length === 0 ? all : all.filter((tier) => names.includes(tier));
}

async function staticChecks(): Promise<RunReport> {
  const status = await timed("static checks", () => run("npm", ["run", "--silent", "check"]));
  return { records: [], problems: status === 0 ? [] : ["static checks: npm run check"] };
}

/** The tiers that run on this machine, in one go. */
async function runHere(tiers: readonly Tier[], work: string, isMeasured: boolean): Promise<RunReport> {
  const here = tiers.filter((tier) => tier !== "lab");
  const files = here.flatMap((tier) => globSync(TIERS[tier]));
  if (files.length === 0) return { records: [], problems: [] };
  return timed(here.join(", "), () =>
    reported(join(work, "report.json"), (path) =>
      run(process.execPath, [...testArguments(CONCURRENCY, TEST_TIMEOUT_MS), ...files], {
        WARDER_TEST_REPORT: path,
        ...(isMeasured ? { NODE_V8_COVERAGE: join(work, "coverage") } : {}),
        ...(here.some((tier) => tier !== "unit") ? kvmSpeed() : {}),
      }),
    ),
  );
}

function canJudgeCoverage(): boolean {
  const { skip } = requires(...COVERAGE_NEEDS);
  if (skip !== undefined) console.log(`coverage: not asked for here, since the tests of it are skipped: ${skip}`);
  return skip === undefined;
}

function testArguments(concurrency: number, timeoutMs: number): string[] {
  return [
    "--disable-warning=ExperimentalWarning",
    "--test",
    `--test-concurrency=${concurrency}`,
    `--test-timeout=${timeoutMs}`,
    `--test-reporter=${join(root, "test/support/reporter.ts")}`,
    "--test-reporter-destination=stdout",
  ];
}

async function judgeCoverage(work: string): Promise<RunReport> {
  try {
    const coverage = await timed("coverage", () => measureCoverage(root, work));
    for (const line of coverageLines(coverage, COVERAGE_PERCENT)) console.log(line);
    return { records: [], problems: coverageProblems(coverage, COVERAGE_PERCENT) };
  } catch (error) {
    return { records: [], problems: [`coverage could not be measured: ${error}`] };
  }
}

/** The doctor's measurement of KVM, for test/support/capability.ts; nothing where it cannot be had. */
function kvmSpeed(): NodeJS.ProcessEnv {
  if (process.env.WARDER_KVM_SPEED || !existsSync("/dev/kvm")) return {};
  const { stdout } = spawnSync(join(root, "bin/warder"), ["doctor", "--probe", "--json"], {
    encoding: "utf8",
    timeout: 60_000,
  });
  try {
    const { findings } = JSON.parse(stdout) as { findings: { code: string; status: string }[] };
    const status = findings.find(({ code }) => code === "kvm-speed")?.status;
    if (status === "ok") return { WARDER_KVM_SPEED: "fast" };
    if (status === "warning") return { WARDER_KVM_SPEED: "slow" };
  } catch {
    // No document: the doctor itself is what is broken, which is for its own tests to say.
  }
  return {};
}

async function runLabs(work: string, isMeasured: boolean): Promise<RunReport[]> {
  const reports: RunReport[] = [];
  let left = globSync(TIERS.lab);
  for (const { name, suffix, settings, needs } of LABS) {
    const files = left.filter((file) => file.endsWith(suffix));
    left = left.filter((file) => !files.includes(file));
    if (files.length === 0) continue;
    const { skip, signal } = requires(...needs);
    if (signal !== undefined) reports.push({ records: [], problems: [`${name}: ${signal.reason}`] });
    else if (typeof skip === "string") reports.push({ records: skippedFiles(files, skip), problems: [] });
    else reports.push(...(await timed(name, () => runInLabs(files, settings, work, isMeasured))));
  }
  return reports;
}

/**
 * Runs each file in a lab of its own. Where the lab's machine itself fails, which is emulated down to its processor, that
 * is said, and the file gets another one: such a run says nothing about what is tested.
 */
async function runInLabs(
  files: readonly string[],
  settings: Readonly<Record<string, string>>,
  work: string,
  isMeasured: boolean,
): Promise<RunReport[]> {
  const reports: RunReport[] = [];
  for (const file of files) {
    for (let attempt = 1; ; attempt++) {
      const out = join(work, `lab-${basename(file)}-${attempt}`);
      const { status, report } = await runLab(file, { ...settings, LAB_OUT: out }, isMeasured);
      if (status === LAB_FAILED && attempt < LAB_ATTEMPTS) {
        console.log(`${file}: the lab failed, not the tests; once more in another`);
        continue;
      }
      reports.push(report);
      break;
    }
  }
  return reports;
}

/** Starts a lab, runs a file in it, and reads what it came to from what the lab leaves behind in LAB_OUT. */
async function runLab(
  file: string,
  settings: Record<string, string> & { readonly LAB_OUT: string },
  isMeasured: boolean,
): Promise<{ readonly status: number; readonly report: RunReport }> {
  // Of the environment the lab takes WARDER_… alone.
  const measured = isMeasured ? ["env", "NODE_V8_COVERAGE=/lab/out/coverage"] : [];
  let status = 0;
  const report = await reported(join(settings.LAB_OUT, "report.json"), async () => {
    status = await run("lab/lab.sh", [...measured, process.execPath, ...testArguments(1, LAB_TEST_TIMEOUT_MS), file], {
      ...settings,
      LAB_TIMEOUT: `${LAB_TIMEOUT_S}`,
      WARDER_TEST_REPORT: "/lab/out/report.json",
      WARDER_KVM_SPEED: "fast",
      ...(process.stdout.isTTY ? { WARDER_TEST_COLUMNS: `${process.stdout.columns}` } : {}),
    });
    return status;
  });
  return { status, report: { ...report, problems: report.problems.map((problem) => `${file}: ${problem}`) } };
}

function skippedFiles(files: readonly string[], reason: string): TestRecord[] {
  return files.map((file) => ({ file, name: WHOLE_FILE, outcome: "skipped", durationMs: 0, reason }));
}

function finish(tiers: readonly Tier[], reports: readonly RunReport[]): void {
  const records = reports.flatMap((report) => report.records);
  const problems = reports.flatMap((report) => report.problems);
  const { passed, failed } = countOutcomes(records);
  if (passed + failed + problems.length === 0) problems.push("no test ran at all");
  for (const tier of tiers) console.log(tierLine(tier, records));
  process.stdout.write(endText({ records, problems }));
  process.exitCode = failed + problems.length > 0 ? 1 : 0;
}

function tierLine(tier: Tier, records: readonly TestRecord[]): string {
  const files = new Set(globSync(TIERS[tier]));
  const counts = countOutcomes(records.filter(({ file }) => files.has(file)));
  return `tier ${tier}: ${countsText(counts)} in ${files.size === 1 ? "1 file" : `${files.size} files`}`;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Interrupted)) throw error;
  process.exitCode = error.status;
}
