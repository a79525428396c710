import { readFile, writeFile } from "node:fs/promises";
import { type ErrorCodeFacts, errorCodes } from "../src/vm/error-codes.ts";

/** Writes docs/errors.md out of the one table of error codes; `--check` only compares. */
const file = "docs/errors.md";
const rows = (Object.entries(errorCodes) as [string, ErrorCodeFacts][])
  .toSorted(([left], [right]) => left.localeCompare(right))
  .map(([code, { summary, exitStatus, wire }]) => `| \`${code}\` | ${summary} | ${exitStatus} | \`${wire}\` |`);

const text = `# Error codes

Every error of Warder has a stable code, a message that says what was being done, to what, why it failed and what to do,
and, where the input was wrong, the list of all wrong fields. In the library that is \`WarderError\` with \`code\`,
\`cure\`, \`fields\`, \`cause\` and \`cleanup\` (what the clean-up after the error could not do); with \`--json\` it is the
document \`{"error": {…}}\` on standard output.

Codes are only ever added. Exit statuses of the command line: 1 failed, 2 usage, 3 refused by policy, 4 not found.

<!-- Made by \`npm run docs:errors\` out of src/vm/error-codes.ts. -->

| code | meaning | exit status | wire status |
|---|---|---|---|
${rows.join("\n")}
`;

if (!process.argv.includes("--check")) {
  await writeFile(file, text);
} else if ((await readFile(file, "utf8").catch(() => "")) !== text) {
  console.error(`${file} is not what src/vm/error-codes.ts says: run \`npm run docs:errors\``);
  process.exitCode = 1;
}
