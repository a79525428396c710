import { readFile } from "node:fs/promises";
import { cruise, type ICruiseOptions, type ICruiseResult, type IFlattenedRuleSet } from "dependency-cruiser";
import extractTsConfig from "dependency-cruiser/config-utl/extract-ts-config";

/**
 * Checks who may import whom. Fails as well where it saw suspiciously few modules or imports: a checker that can not
 * read the code finds nothing wrong with it.
 */
const LEAST_MODULES = 60;
const LEAST_IMPORTS = 200;

const { forbidden, options } = JSON.parse(await readFile(".dependency-cruiser.json", "utf8")) as {
  forbidden: NonNullable<IFlattenedRuleSet["forbidden"]>;
  options: ICruiseOptions;
};
const tsConfig = extractTsConfig("tsconfig.json");
const { output } = await cruise(["src"], { ...options, ruleSet: { forbidden }, validate: true }, undefined, {
  tsConfig,
});
const { modules, summary } = output as ICruiseResult;
const imports = modules.flatMap((module) => module.dependencies).filter(({ resolved }) => resolved.startsWith("src/"));

for (const { rule, from, to } of summary.violations) {
  const reason = forbidden.find(({ name }) => name === rule.name)?.comment;
  console.error(`${from} → ${to}: ${rule.name}. ${reason}`);
}
if (modules.length < LEAST_MODULES || imports.length < LEAST_IMPORTS) {
  console.error(
    `only ${modules.length} modules and ${imports.length} imports were seen: the check does not see the code`,
  );
  process.exitCode = 1;
}
if (summary.violations.length > 0) process.exitCode = 1;
console.log(`rooms: ${modules.length} modules, ${imports.length} imports, ${summary.violations.length} violations`);
