import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Metrics } from "../../../src/observability/metrics/metrics.ts";
import { requires } from "../../support/capability.ts";

const ROOT = join(import.meta.dirname, "../../..");
const GRAFANA = join(ROOT, "deploy/grafana");
const RULES = join(ROOT, "deploy/prometheus/warder.rules.yml");
const RULES_TEST = join(ROOT, "deploy/prometheus/warder.rules.test.yml");

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly query: string | { query: string } }[];
  };
}

const dashboards = readdirSync(GRAFANA).map((name) => {
  return [name, JSON.parse(readFileSync(join(GRAFANA, name), "utf8")) as Dashboard] as const;
});

/** Name of each metric that the daemon has, with its labels. */
function registered(): Map<string, ReadonlySet<string>> {
  const metrics = new Metrics({ version: "0" }).registry.getMetricsAsArray() as unknown as {
    name: string;
    type: string;
    labelNames: string[];
  }[];
  return new Map(
    metrics.flatMap(({ name, type, labelNames }) => {
      if (type !== "histogram") return [[name, new Set(labelNames)] as const];
      const parts = ["_sum", "_count"].map((suffix) => [`${name}${suffix}`, new Set(labelNames)] as const);
      return [...parts, [`${name}_bucket`, new Set([...labelNames, "le"])] as const];
    }),
  );
}

/** Metrics that an expression names, each with the labels that it selects by. */
function selectors(expr: string): { name: string; labels: string[] }[] {
  const found = expr.matchAll(/\b((?:warder|process|nodejs)_[a-z0-9_]+)(?:\{([^}]*)\})?/g);
  return [...found].map(([, name = "", inside = ""]) => ({
    name,
    labels: [...inside.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)].map(([, label = ""]) => label),
  }));
}

/** Labels that Prometheus itself adds. */
const added = new Set(["instance", "job"]);

function assertKnown(expr: string): void {
  const known = registered();
  const used = selectors(expr);
  assert.notEqual(used.length, 0, `${expr} names no metric`);
  for (const { name, labels } of used) {
    const has = known.get(name);
    assert.ok(has !== undefined, `${name} is no metric of the daemon: ${expr}`);
    for (const label of labels) assert.ok(has.has(label) || added.has(label), `${name} has no label ${label}: ${expr}`);
  }
}

for (const [file, dashboard] of dashboards) {
  describe(`the dashboard ${file}`, () => {
    test("asks for metrics and labels that the daemon has, and no others", () => {
      for (const { targets = [] } of dashboard.panels) for (const { expr } of targets) assertKnown(expr);
      for (const { query } of dashboard.templating.list) {
        if (typeof query !== "string") assertKnown(query.query.replace(/^label_values\((.*),[^,]*\)$/, "$1"));
      }
    });

    test("groups by labels that its metrics have", () => {
      const known = registered();
      for (const { targets = [] } of dashboard.panels) {
        for (const { expr } of targets) {
          const labels = new Set(selectors(expr).flatMap(({ name }) => [...(known.get(name) ?? [])]));
          for (const [, group = ""] of expr.matchAll(/\bby \(([^)]*)\)/g)) {
            for (const label of group.split(",").map((each) => each.trim())) {
              assert.ok(labels.has(label) || added.has(label), `${label} in ${expr}`);
            }
          }
        }
      }
    });

    test("has panels that say what they show, each at a place of its own", () => {
      const ids = dashboard.panels.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length);
      const places = new Set<string>();
      for (const { type, title, description, gridPos } of dashboard.panels) {
        if (type !== "row") assert.ok((description?.length ?? 0) > 5, title);
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
          assert.ok(x < 24, title);
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
            assert.ok(!places.has(`${x},${y}`), `${title} lies on another panel`);
            places.add(`${x},${y}`);
          }
        }
      }
    });

    test("has expressions that Prometheus can read", requires("promtool"), () => {
      const expressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
      const rules = expressions.map((expr, index) => {
        const plain = expr.replaceAll(/\$[a-z_]+/g, "x");
        return { record: `dashboard:panel_${index}`, expr: plain };
      });
      const directory = mkdtempSync(join(tmpdir(), "warder-dashboard-"));
      try {
        // JSON is YAML.
        writeFileSync(join(directory, "rules.yml"), JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
        execFileSync("promtool", ["check", "rules", join(directory, "rules.yml")]);
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
  });
}

test("every metric is on a dashboard", () => {
  const shown = new Set(
    dashboards.flatMap(([, { panels }]) =>
      panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => selectors(expr).map(({ name }) => name))),
    ),
  );
  const base = (name: string) => name.replace(/_(sum|count|bucket)$/, "");
  const bases = new Set([...shown].map(base));
  const own = [...registered().keys()].filter((name) => name.startsWith("warder_")).map(base);
  assert.deepEqual(
    [...new Set(own)].filter((name) => !bases.has(name)),
    [],
  );
});

describe("the alerts", () => {
  const rules = readFileSync(RULES, "utf8");
  const names = [...rules.matchAll(/^ +- alert: (\w+)$/gm)].map(([, name = ""]) => name);

  test("ask for metrics and labels that the daemon has, and no others", () => {
    for (const line of rules.split("\n").filter((each) => /\b(warder|nodejs|process)_/.test(each))) assertKnown(line);
  });

  test("are explained, each under its name", () => {
    const page = readFileSync(join(ROOT, "docs/alerts.md"), "utf8");
    const sections = [...page.matchAll(/^## (\w+)$/gm)].map(([, name = ""]) => name);
    assert.deepEqual(sections, names);
    for (const name of names) assert.ok(rules.includes(`runbook: docs/alerts.md#${name.toLowerCase()}\n`), name);
  });

  test("are right in Prometheus' own eyes, and fire when they should", requires("promtool"), () => {
    execFileSync("promtool", ["check", "rules", RULES]);
    execFileSync("promtool", ["test", "rules", RULES_TEST]);
  });

  test("have each a test in which it fires", () => {
    const text = readFileSync(RULES_TEST, "utf8");
    for (const name of names) {
      assert.match(text, new RegExp(`alertname: ${name}\\n +eval_time: \\w+\\n +exp_alerts:\\n`), name);
    }
  });
});
