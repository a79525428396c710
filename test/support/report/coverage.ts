/**
 * What of the sources ran while tests ran: in the tests' own processes, and in those of the product that they started.
 * Each process whose environment has NODE_V8_COVERAGE leaves a file of what V8 counted in that directory when it ends;
 * monocart-coverage-reports adds them up and reads the sources' syntax, so that a line is one with code on it, and a
 * branch each way through an `if`, `?:`, `??`, `||`, `&&`, `switch` or default value. A line counts as soon as anything on
 * it ran; the rest of it shows in the branches.
 */
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { CoverageFile, V8CoverageEntry } from "monocart-coverage-reports";

/** How many of all there are. */
export interface Share {
  readonly covered: number;
  readonly total: number;
}

/** What of one source ran. */
export interface SourceCoverage {
  /** Relative to the project. */
  readonly path: string;
  readonly lines: Share;
  readonly branches: Share;
  /** The lines that nothing ran, ascending. */
  readonly missedLines: readonly number[];
  /** The lines with a branch that nothing took, ascending. */
  readonly missedBranches: readonly number[];
}

/** What of all sources ran. */
export interface Coverage {
  readonly lines: Share;
  readonly branches: Share;
  readonly files: readonly SourceCoverage[];
  /** How many processes ran anything of it. */
  readonly processes: number;
  /** The files that could not be read: a process that is killed while it writes leaves half of one. */
  readonly broken: readonly string[];
}

/** A project's sources as Node runs them, by address: types are blanks in them, so that all else is where it was. */
type Sources = ReadonlyMap<string, string>;

/**
 * Adds up what the processes of a run have left. A source that none has loaded counts as not covered; one with types only
 * has nothing to cover.
 *
 * @param root the project's directory; what is in its src/ counts, but for the tests
 * @param directory where what NODE_V8_COVERAGE named lies, at any depth
 * @throws SyntaxError where a source can not be read
 */
export async function measureCoverage(root: string, directory: string): Promise<Coverage> {
  const { CoverageReport } = await import("monocart-coverage-reports"); // which takes long to load
  const sources = sourcesOf(root);
  const work = mkdtempSync(join(tmpdir(), "warder-coverage-"));
  try {
    const report = new CoverageReport({
      baseDir: root,
      outputDir: work,
      reports: ["v8-json"],
      logging: "error",
      v8Ignore: false,
    });
    const broken: string[] = [];
    let processes = 0;
    for (const path of globSync(join(directory, "**/coverage-*.json"))) {
      const entries = entriesOf(path, sources);
      if (entries === undefined) broken.push(basename(path));
      else if (entries.length > 0) {
        processes += 1;
        await report.add(entries);
      }
    }
    await report.add([...sources].map(([url, source]) => ({ url, source, empty: true, type: "js" })));
    const { files = [] } = (await report.generate()) ?? {};
    return { ...sum(files.map(toSourceCoverage)), processes, broken };
  } finally {
    rmSync(work, { recursive: true });
  }
}

function sourcesOf(root: string): Sources {
  const files = globSync("src/**/*.ts", { cwd: root, exclude: ["src/**/*.test.ts"] }).toSorted();
  return new Map(
    files.map((file) => {
      const path = join(root, file);
      return [pathToFileURL(path).href, withoutTypes(file, readFileSync(path, "utf8"))];
    }),
  );
}

function withoutTypes(file: string, source: string): string {
  try {
    return stripTypeScriptTypes(source);
  } catch (cause) {
    throw new SyntaxError(`${file} can not be read: ${cause}`, { cause });
  }
}

/** What one process ran of the sources; nothing where it left half a file. */
function entriesOf(path: string, sources: Sources): V8CoverageEntry[] | undefined {
  let entries: readonly V8CoverageEntry[];
  try {
    ({ result: entries } = JSON.parse(readFileSync(path, "utf8")) as { result: readonly V8CoverageEntry[] });
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  return entries.flatMap((entry) => {
    const source = sources.get(entry.url);
    return source === undefined ? [] : [{ ...entry, source }];
  });
}

function toSourceCoverage({ sourcePath, summary, source = "", data = {} }: CoverageFile): SourceCoverage {
  const lines = Object.entries(data.lines ?? {});
  const missedLines = lines.filter(([, count]) => count === 0).map(([line]) => Number(line));
  const missed = (data.branches ?? []).filter(({ count }) => count === 0).map(({ start }) => lineAt(source, start));
  const { covered, total } = summary.branches;
  return {
    path: sourcePath,
    lines: { covered: lines.length - missedLines.length, total: lines.length },
    branches: { covered, total },
    missedLines: missedLines.toSorted(ascending),
    missedBranches: [...new Set(missed)].toSorted(ascending),
  };
}

function lineAt(source: string, offset: number): number {
  return source.slice(0, offset).split("\n").length;
}

function ascending(a: number, b: number): number {
  return a - b;
}

function sum(files: readonly SourceCoverage[]): Pick<Coverage, "lines" | "branches" | "files"> {
  const add = (a: Share, b: Share): Share => ({ covered: a.covered + b.covered, total: a.total + b.total });
  const none: Share = { covered: 0, total: 0 };
  return {
    lines: files.map(({ lines }) => lines).reduce(add, none),
    branches: files.map(({ branches }) => branches).reduce(add, none),
    files,
  };
}
