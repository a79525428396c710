import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig, settingOrigins } from "./config.ts";

test("a setting comes from a flag before the environment before its default", () => {
  const environment = { WARDER_STATE_DIR: "/environment", WARDER_CHROOT_BASE: "/environment", WARDER_JAILER: "" };
  const overrides = { stateDir: "/flag" };
  const origins = Object.fromEntries(settingOrigins(overrides, environment).map(({ name, origin }) => [name, origin]));
  assert.deepEqual([origins.stateDir, origins.chrootBase, origins.jailer], ["flag", "environment", "default"]);
  const config = loadConfig(overrides, environment);
  assert.deepEqual([config.stateDir, config.chrootBase, config.jailer], ["/flag", "/environment", undefined]);
});

test("every setting has its variable", () => {
  for (const { name, variable } of settingOrigins({}, {})) {
    assert.equal(variable, `WARDER_${name.replaceAll(/[A-Z]/g, "_$&").toUpperCase()}`);
  }
});

test("wrong settings are told in words", () => {
  const environment = { WARDER_UID_RANGE: "0:0", WARDER_CGROUP_VERSION: "3", WARDER_LOG_LEVEL: "loud" };
  assert.throws(() => loadConfig({}, environment), {
    fields: [
      {
        field: "WARDER_UID_RANGE",
        problem: 'must be the first id, from 1 on, and how many, such as 500000:10000, not "0:0"',
      },
      { field: "WARDER_CGROUP_VERSION", problem: 'must be 1 to 2, not "3"' },
      { field: "WARDER_LOG_LEVEL", problem: 'must be one of debug, info, warn, error, silent, not "loud"' },
    ],
  });
});
