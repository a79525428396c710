import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { configFile, configProblems } from "../../test/support/config-problems.ts";
import { type ConfigSources, readConfig } from "./read.ts";

/** Every source of the port, the nearest first, and what it is called in a message. */
const sources: readonly [value: number, where: string, source: Partial<ConfigSources>][] = [
  [1, "server.port", { overrides: { server: { port: 1 } } }],
  [2, "--set server.port", { overrides: { set: { "server.port": "2" } } }],
  [3, "WARDER_SERVER_PORT", { environment: { WARDER_SERVER_PORT: "3" } }],
  [4, "WARDER_PORT", { environment: { WARDER_PORT: "4" } }],
  [5, "UNKEY_METALD_PORT", { environment: { UNKEY_METALD_PORT: "5" } }],
  [6, "/etc/w.toml:2", { file: configFile("[server]", "port = 6") }],
];

function merge(all: readonly Partial<ConfigSources>[]): ConfigSources {
  return {
    overrides: Object.assign({}, ...all.map(({ overrides }) => overrides)),
    environment: Object.assign({}, ...all.map(({ environment }) => environment)),
    ...Object.assign({}, ...all.flatMap(({ file }) => (file === undefined ? [] : { file }))),
  };
}

function entryOf(key: string, given: ConfigSources) {
  const entry = readConfig(given).entries.find(({ setting }) => setting.key === key);
  assert.ok(entry);
  return { value: entry.value, origin: entry.origin, where: entry.where() };
}

describe("of two sources the nearer counts", () => {
  for (const [index, [value, where]] of sources.entries()) {
    test(`${where} before all that come behind it`, () => {
      // Two names of one setting that say different things are refused: the next test.
      const behind = sources.slice(index).filter(([, name]) => name !== "WARDER_PORT" || name === where);
      const found = entryOf("server.port", merge(behind.map(([, , source]) => source)));
      assert.deepEqual([found.value, found.where], [value, where]);
    });
  }
  test("a preset before a default, and everything before a preset", () => {
    const production = { overrides: {}, environment: { WARDER_PRESET: "production" } };
    const where = "preset production";
    assert.deepEqual(entryOf("jail.pids", production), { value: 2048, origin: "preset", where });
    const file = configFile("jail.pids = 9");
    assert.deepEqual(entryOf("jail.pids", { ...production, file }).origin, "file");
    assert.equal(entryOf("jail.pids", { overrides: {}, environment: {} }).origin, "default");
  });
});

test("two names of one variable must not contradict each other", () => {
  const environment = { WARDER_SERVER_PORT: "1", WARDER_PORT: "2" };
  assert.deepEqual(configProblems({ environment }), {
    WARDER_PORT: "is another name of WARDER_SERVER_PORT, which says something else",
  });
  assert.deepEqual(configProblems({ environment: { ...environment, WARDER_PORT: "1" } }), {});
});

test("a wrong value is refused, also where a nearer source overrules it", () => {
  const given = { environment: { WARDER_SERVER_PORT: "x" }, file: configFile("server.port = -1") };
  assert.deepEqual(configProblems({ ...given, overrides: { server: { port: 80 } } }), {
    WARDER_SERVER_PORT: 'must be 0 to 65535, not "x"',
    "server.port (/etc/w.toml:1)": 'must be 0 to 65535, not "-1"',
  });
});

describe("presets", () => {
  const read = (environment: Record<string, string>) => readConfig({ overrides: {}, environment }).config;
  test("have the seed's figures: memory, processors, descriptors, processes", () => {
    const figures = ({ vm, admission, jail }: ReturnType<typeof read>) => [
      ...[vm.memoryMib, vm.vcpus, admission.cpuOvercommit, jail.openFiles, jail.pids],
    ];
    assert.deepEqual(figures(read({ WARDER_PRESET: "development" })), [128, 1, 16, 1024, 1024]);
    assert.deepEqual(figures(read({ WARDER_PRESET: "production" })), [256, 1, 1, 2048, 2048]);
    assert.deepEqual(figures(read({})), [128, 1, 4, 1024, 1024]);
  });
  test("production follows from the environment where no preset is named", () => {
    for (const name of ["WARDER_ENV", "NODE_ENV"]) {
      const entry = entryOf("preset", { overrides: {}, environment: { [name]: "production" } });
      assert.deepEqual(entry, { value: "production", origin: "environment", where: name });
    }
    assert.equal(entryOf("preset", { overrides: { production: true }, environment: {} }).value, "production");
  });
  test("development runs unjailed and takes gaps, and can not be had in production", () => {
    const { jail, isolation, production } = read({ WARDER_PRESET: "development" });
    assert.deepEqual([jail.enabled, isolation, production], [false, "degrade", false]);
    assert.deepEqual(configProblems({ environment: { WARDER_PRESET: "development", NODE_ENV: "production" } }), {
      "jail.enabled (preset development)": "must be true: this is production, where every VM is jailed",
      "isolation (preset development)": "must be strict: this is production",
    });
  });
});
