import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isWarderError } from "../vm/error.ts";
import { type ConfigOverrides, loadConfig } from "./config.ts";

function problemsOf(overrides: object, environment: Record<string, string> = {}): Record<string, string> {
  try {
    loadConfig(overrides as ConfigOverrides, environment);
  } catch (error) {
    assert.ok(isWarderError(error) && error.code === "invalid-config");
    return Object.fromEntries(error.fields.map(({ field, problem }) => [field, problem]));
  }
  return {};
}

describe("loadConfig()", () => {
  test("has a default for everything", () => {
    const config = loadConfig({}, { HOME: "/home/me" });
    assert.equal(config.stateDir, "/var/lib/warder");
    assert.equal(config.chrootBase, "/srv/jailer");
    assert.equal(config.cacheDir, "/home/me/.cache/warder");
    assert.deepEqual(config.uidRange, { first: 500_000, count: 10_000 });
    assert.equal(config.parentCgroup, "jailer");
    assert.equal(config.production, false);
    assert.equal(config.consoleLimitBytes, 4 * 1024 * 1024);
    assert.ok(!("firecracker" in config));
    assert.ok(Object.isFrozen(config));
  });
  test("takes overrides before the environment, and an empty variable for none", () => {
    const environment = { WARDER_STATE_DIR: "/env", WARDER_CHROOT_BASE: "/env2", WARDER_JAILER: "" };
    const config = loadConfig({ stateDir: "/given" }, environment);
    assert.equal(config.stateDir, "/given");
    assert.equal(config.chrootBase, "/env2");
    assert.ok(!("jailer" in config));
  });
  test("reads every variable", () => {
    const config = loadConfig(
      {},
      {
        WARDER_FIRECRACKER: "/f",
        WARDER_JAILER: "/j",
        WARDER_CACHE_DIR: "/c",
        WARDER_UID_RANGE: "700000:5",
        WARDER_PARENT_CGROUP: "system/vms",
        WARDER_CGROUP_VERSION: "2",
        WARDER_CONSOLE_LIMIT_BYTES: "8192",
        WARDER_LOG_LIMIT_BYTES: "4096",
        WARDER_LOG_LEVEL: "debug",
        WARDER_ALLOW_TEST_BINARIES: "1",
        PATH: "/usr/bin",
      },
    );
    assert.deepEqual(
      [config.firecracker, config.jailer, config.cacheDir, config.parentCgroup, config.cgroupVersion],
      ["/f", "/j", "/c", "system/vms", 2],
    );
    assert.deepEqual(config.uidRange, { first: 700_000, count: 5 });
    assert.deepEqual([config.consoleLimitBytes, config.logLimitBytes, config.logLevel], [8192, 4096, "debug"]);
    assert.equal(config.allowTestBinaries, true);
    assert.equal(config.searchPath, "/usr/bin");
  });
  test("names every bad setting, and makes none of them a default", () => {
    const problems = problemsOf(
      { chrootBase: "relative" },
      {
        WARDER_STATE_DIR: "x",
        WARDER_UID_RANGE: "0:5",
        WARDER_CGROUP_VERSION: "3",
        WARDER_CONSOLE_LIMIT_BYTES: "1e9",
        WARDER_LOG_LEVEL: "loud",
        WARDER_PARENT_CGROUP: "../x",
        WARDER_ALLOW_TEST_BINARIES: "perhaps",
      },
    );
    assert.deepEqual(Object.keys(problems).sort(), [
      "WARDER_ALLOW_TEST_BINARIES",
      "WARDER_CGROUP_VERSION",
      "WARDER_CONSOLE_LIMIT_BYTES",
      "WARDER_LOG_LEVEL",
      "WARDER_PARENT_CGROUP",
      "WARDER_STATE_DIR",
      "WARDER_UID_RANGE",
      "chrootBase",
    ]);
    assert.match(problems.WARDER_STATE_DIR ?? "", /absolute path, not "x"/);
  });
  for (const range of ["5", "a:b", "1:0", "-1:5", "5:6:7", ""]) {
    test(`the range ${JSON.stringify(range)} is ${range === "" ? "none" : "refused"}`, () => {
      assert.equal("WARDER_UID_RANGE" in problemsOf({}, { WARDER_UID_RANGE: range }), range !== "");
    });
  }
  test("production can be asked for by either variable or the caller, and not be asked away", () => {
    assert.ok(loadConfig({}, { NODE_ENV: "production" }).production);
    assert.ok(loadConfig({ production: false }, { WARDER_ENV: "production" }).production);
    assert.ok(loadConfig({ production: true }, {}).production);
  });
  test("NO_COLOR is honoured", () => {
    assert.equal(loadConfig({}, { NO_COLOR: "1" }).color, false);
    assert.equal(loadConfig({}, { NO_COLOR: "" }).color, true);
  });
});
