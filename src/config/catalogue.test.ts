import assert from "node:assert/strict";
import { test } from "node:test";
import { catalogue } from "./catalogue.ts";
import { namesOf } from "./environment.ts";
import { readConfig } from "./read.ts";
import { withoutEffect } from "./without-effect.ts";
import { writable } from "./write.ts";

test("no two settings share a name", () => {
  const names = catalogue.flatMap((named) => [named.path, ...namesOf(named)]);
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
  );
  for (const name of withoutEffect.keys()) assert.ok(!names.includes(name), name);
});

test("every setting has its variable, named after its key", () => {
  for (const { key, variable } of catalogue) assert.equal(variable, `WARDER_${key.toUpperCase().replaceAll(".", "_")}`);
});

for (const { key, setting } of catalogue) {
  test(`${key}: default and presets are what it takes itself, and its words are sentences`, () => {
    const values = [setting.fallback, ...Object.values(setting.presets ?? {})].filter((value) => value !== undefined);
    for (const value of values) assert.deepEqual(setting.schema.parse(value), value);
    assert.match(setting.about, /^\S.*\.$/);
    assert.ok((setting.schema.description ?? "").length > 0);
    assert.ok(setting.fallback !== undefined || setting.fallbackText !== undefined);
  });
}

test("what is shown of a setting can be given again, and means the same", () => {
  const environment = { WARDER_PRESET: "production", WARDER_NETWORK_DNS: "1.1.1.1", WARDER_JAIL_UID: "7" };
  const { config, entries } = readConfig({ overrides: {}, environment });
  const given = entries.flatMap(({ setting, value }) => {
    const shown = writable(setting.name, value);
    return shown === null || typeof shown === "object" ? [] : [[setting.key, String(shown)] as const];
  });
  assert.ok(given.length > 60);
  assert.deepEqual(readConfig({ overrides: { set: Object.fromEntries(given) }, environment: {} }).config, config);
});
