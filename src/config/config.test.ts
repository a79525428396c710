import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { configProblems } from "../../test/support/config-problems.ts";
import { type ConfigOverrides, chooseConfigFile, loadConfig } from "./config.ts";

const problemsOf = (overrides: ConfigOverrides, environment: Record<string, string> = {}) =>
  configProblems({ overrides, environment });

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
    assert.equal(
      problems.WARDER_UID_RANGE,
      'must be the first id, from 1 on, and how many, such as 500000:10000, not "0:5"',
    );
    assert.equal(problems.WARDER_CGROUP_VERSION, 'must be 1 to 2, not "3"');
    assert.equal(problems.WARDER_LOG_LEVEL, 'must be one of debug, info, warn, error, silent, not "loud"');
  });
  test("takes a whole configuration as overrides, as a process that looks after a VM gets it", () => {
    const environment = { WARDER_STATE_DIR: "/env", UNKEY_METALD_JAILER_UID: "77", WARDER_NETWORK_DNS: "1.1.1.1,::1" };
    const config = loadConfig({ set: { "quota.vms": "3" } }, environment);
    assert.deepEqual(loadConfig(JSON.parse(JSON.stringify(config)), {}), { ...config, searchPath: "" });
  });
  test("takes settings of sections, typed and as text", () => {
    const config = loadConfig(
      { server: { port: 1234, idleTimeoutMs: 5000 }, set: { "server.max_body_bytes": "4MiB" } },
      {},
    );
    assert.deepEqual(
      [config.server.port, config.server.idleTimeoutMs, config.server.maxBodyBytes],
      [1234, 5000, 4 << 20],
    );
    assert.deepEqual(problemsOf({ server: { port: 70_000 }, set: { "server.prot": "1", "vm.vcpus": "0" } }), {
      "server.port": "must be 0 to 65535, not 70000",
      "--set vm.vcpus": 'must be 1 to 32, not "0"',
      "--set server.prot": "is no setting. Did you mean server.port?",
    });
  });
  test("is frozen in all its depth", () => {
    const config = loadConfig({}, {});
    assert.ok(Object.values(config).every((each) => Object.isFrozen(each)));
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
  test("an environment of another name is not taken for one without production", () => {
    assert.deepEqual(problemsOf({}, { WARDER_ENV: "prod" }), {
      WARDER_ENV: 'must be one of production, development, test, not "prod"',
    });
    assert.equal(loadConfig({}, { NODE_ENV: "prod" }).production, false);
  });
  test("NO_COLOR is honoured", () => {
    assert.equal(loadConfig({}, { NO_COLOR: "1" }).color, false);
    assert.equal(loadConfig({}, { NO_COLOR: "" }).color, true);
  });
});

test("the file is the one that is named, else the usual one if it is there", () => {
  assert.deepEqual(chooseConfigFile({}, {}), { path: "/etc/warder/warder.toml" });
  assert.deepEqual(chooseConfigFile({}, { WARDER_CONFIG: "/e" }), { path: "/e", namedBy: "WARDER_CONFIG" });
  const both = chooseConfigFile({ configFile: "/f" }, { WARDER_CONFIG: "/e" });
  assert.deepEqual(both, { path: "/f", namedBy: "configFile" });
});
