import { execFileSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/**
 * Checks the wire: that the .proto files are in their form, break nothing that was published, and that gen/ is what they
 * make. `proto/published.binpb` is the last published wire; a release replaces it.
 */
const problems: string[] = [];
const buf = (...args: string[]) => {
  try {
    return execFileSync("buf", args, { cwd: "proto", encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    problems.push(`buf ${args[0]}: ${stdout}${stderr}`.trim());
    return "";
  }
};

buf("lint");
buf("format", "--diff", "--exit-code");
buf("breaking", "--against", "published.binpb");
const fresh = await mkdtemp(join(tmpdir(), "warder-gen-"));
try {
  buf("generate", "--output", join(fresh, "proto"));
  problems.push(...(await differences(join(fresh, "gen"), "gen")));
} finally {
  await rm(fresh, { recursive: true });
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

async function differences(wanted: string, found: string): Promise<string[]> {
  const [ours, theirs] = await Promise.all([wanted, found].map(filesIn));
  const names = [...new Set([...(ours?.keys() ?? []), ...(theirs?.keys() ?? [])])].toSorted();
  return names
    .filter((name) => ours?.get(name) !== theirs?.get(name))
    .map((name) => `${resolve(found, name)} is not what proto/ makes: run \`npm run proto\``);
}

async function filesIn(directory: string): Promise<Map<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return new Map(files.map((file, index) => [file.slice(directory.length), texts[index] ?? ""]));
}
