import { readFile, writeFile } from "node:fs/promises";
import { catalogue, type NamedSetting, sections } from "../src/config/catalogue.ts";
import { withoutEffect } from "../src/config/without-effect.ts";
import { writable } from "../src/config/write.ts";

/**
 * Writes the tables of docs/configuration.md out of the tables of settings, each between its two marks; what stands
 * around them is written by hand. `--check` only compares.
 */
const file = "docs/configuration.md";

const titles: Readonly<Record<string, string>> = {
  "": "Host: where things lie, and what VMs run on",
  jail: "`[jail]`: how the daemon jails VMs",
  vm: "`[vm]`: what VMs are where a caller says nothing",
  server: "`[server]`: doors, and how much may come through them",
  tls: "`[tls]`: TLS of the TCP door",
  quota: "`[quota]`: what a tenant may have",
  admission: "`[admission]`: how much is accepted",
  retention: "`[retention]`: what is kept of VMs that have ended",
  shutdown: "`[shutdown]`: what happens at SIGTERM",
  network: "`[network]`: what VMs lease for their networks",
  metrics: "`[metrics]`: Prometheus",
  tracing: "`[tracing]`: OpenTelemetry",
  health: "`[health]`: how VMs are looked after",
};

const reloads = { now: "yes", "new-vms": "for new VMs", restart: "no" } as const;

const blocks: Readonly<Record<string, () => string>> = {
  settings: () => ["", ...Object.keys(sections)].map(sectionText).join("\n\n"),
  presets: () => {
    const rows = catalogue
      .filter(({ setting }) => setting.presets !== undefined)
      .map((named) => [
        code(named.key),
        defaultText(named),
        presetText(named, "development"),
        presetText(named, "production"),
      ]);
    return table(["setting", "default", "`development`", "`production`"], rows);
  },
  metald: () => {
    const rows = catalogue.flatMap(({ seedVariables, key }) => seedVariables.map((name) => [code(name), code(key)]));
    return table(["variable", "setting"], rows.toSorted(byFirst));
  },
  "without-effect": () =>
    table(
      ["variable", "why it has no effect"],
      [...withoutEffect].map(([name, why]) => [code(name), why]).toSorted(byFirst),
    ),
};

function sectionText(section: string): string {
  const rows = catalogue
    .filter((named) => named.section === section)
    .map((named) => [
      `${code(named.key)}<br>${named.setting.isFileOnly === true ? "(file only)" : code(named.variable)}`,
      `${escapeBars(named.setting.about)} Takes ${escapeBars(named.setting.schema.description ?? "")}.`,
      defaultText(named),
      reloads[named.setting.reload],
    ]);
  return `### ${titles[section]}\n\n${table(["setting", "meaning", "default", "SIGHUP"], rows)}`;
}

function defaultText({ name, setting }: NamedSetting): string {
  return setting.fallbackText === undefined ? valueText(name, setting.fallback) : escapeBars(setting.fallbackText);
}

function presetText({ name, setting }: NamedSetting, preset: "development" | "production"): string {
  return preset in (setting.presets ?? {}) ? valueText(name, setting.presets?.[preset]) : "(default)";
}

function valueText(name: string, value: unknown): string {
  return code(String(writable(name, value)));
}

function code(text: string): string {
  return `\`${text}\``;
}

function escapeBars(text: string): string {
  return text.replaceAll("|", "\\|");
}

function byFirst([left = ""]: readonly string[], [right = ""]: readonly string[]): number {
  return left.localeCompare(right);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
  return lines.join("\n");
}

function fill(text: string): string {
  return Object.entries(blocks).reduce((filled, [name, make]) => {
    const [begin, end] = [`<!-- ${name}: made by \`npm run docs:config\` -->`, `<!-- /${name} -->`];
    const [before, rest] = filled.split(begin);
    const after = rest?.split(end)[1];
    if (before === undefined || after === undefined) throw new Error(`${file} lacks the marks of ${name}`);
    return `${before}${begin}\n\n${make()}\n\n${end}${after}`;
  }, text);
}

const text = await readFile(file, "utf8");
if (!process.argv.includes("--check")) {
  await writeFile(file, fill(text));
} else if (fill(text) !== text) {
  console.error(`${file} is not what src/config/settings/ says: run \`npm run docs:config\``);
  process.exitCode = 1;
}
