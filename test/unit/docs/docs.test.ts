import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, test } from "node:test";
import { readConfig } from "../../../src/config/read.ts";

const root = join(import.meta.dirname, "../../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const pages = globSync("docs/**/*.md", { cwd: root });

/** The fenced blocks of a language in a page. */
function blocks(page: string, language: string): string[] {
  return [...read(page).matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm"))].map(
    ([, text = ""]) => text,
  );
}

/** As GitHub makes an anchor of a heading. */
function anchors(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

describe("the documents", () => {
  for (const page of pages) {
    test(`${page}: links lead somewhere`, () => {
      for (const [, link = ""] of read(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
        const [path = "", anchor] = link.split("#");
        const target = path === "" ? join(root, page) : resolve(root, dirname(page), path);
        assert.ok(existsSync(target), link);
        if (anchor !== undefined) assert.ok(anchors(readFileSync(target, "utf8")).includes(anchor), link);
      }
    });
    test(`${page}: files of the project that it names are there`, () => {
      for (const [, path = ""] of read(page).matchAll(/`((?:src|test|scripts|deploy|lab)\/[\w/.-]+\.\w+)`/g))
        assert.ok(existsSync(join(root, path)), path);
    });
  }

  test("settings are printed as they are taken", () => {
    const [guide = ""] = blocks("docs/jailer-integration.md", "bash");
    const variables = [...guide.matchAll(/^export (\w+)=(\S+)/gm)].map(([, name = "", value = ""]) => [name, value]);
    assert.ok(variables.length >= 11);
    const { config } = readConfig({ overrides: {}, environment: Object.fromEntries(variables) });
    assert.deepEqual([config.jail.memoryLimitBytes, config.jail.cpuQuotaPercent], [134_217_728, 100]);
    const [toml = ""] = blocks("docs/configuration.md", "toml");
    const file = { path: "/etc/warder/warder.toml", text: toml };
    const { quota } = readConfig({ overrides: {}, environment: {}, file }).config;
    assert.equal(quota.tenants.acme?.memoryMib, 65_536);
  });
  test("the guide has metald's sections, and its diagram", () => {
    const headings = anchors(read("docs/jailer-integration.md"));
    for (const wanted of [
      ...["overview", "production-requirements", "configuration", "architecture", "directory-structure"],
      ...["socket-path-resolution", "security-model", "resource-limits", "networking", "monitoring-and-observability"],
      ...["troubleshooting", "migration", "performance", "conclusion"],
    ])
      assert.ok(headings.includes(wanted), wanted);
    const [diagram = ""] = blocks("docs/jailer-integration.md", "mermaid");
    for (const participant of ["API", "PM", "Jailer", "FC", "ChrootFS"])
      assert.match(diagram, new RegExp(`participant ${participant} as `));
  });
  test("troubleshooting has eight issues, each with its solution", () => {
    const issues = read("docs/jailer-troubleshooting.md").split(/^### /m).slice(1);
    assert.equal(issues.length, 8);
    for (const [index, issue] of issues.entries()) {
      assert.ok(issue.startsWith(`${index + 1}. `));
      assert.match(issue, /^Solution: /m);
    }
  });
});
