import { readFileSync } from "node:fs";

/** Those of some TypeScript files of which anything is left at run time: not so where one only declares types. */
export async function filesWithCode(paths: readonly string[]): Promise<string[]> {
  if (paths.length === 0) return [];
  // Loaded only here: it takes longer than many a test run.
  const { ModuleKind, ScriptTarget, transpileModule } = await import("typescript");
  const compilerOptions = { module: ModuleKind.ESNext, target: ScriptTarget.ESNext, removeComments: true };
  return paths.filter((path) => {
    const { outputText } = transpileModule(readFileSync(path, "utf8"), { compilerOptions });
    return outputText.replace("export {};", "").trim() !== "";
  });
}
