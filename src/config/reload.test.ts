import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigOverrides } from "./overrides.ts";
import { readConfig } from "./read.ts";
import { planReload } from "./reload.ts";

const read = (overrides: ConfigOverrides) => readConfig({ overrides, environment: {} });

test("what can change changes; what needs a restart stays as it was, and is named", () => {
  const before = read({ logLevel: "info", server: { port: 1 }, quota: { vms: 3 }, firecracker: "/old" });
  const after = read({ logLevel: "debug", server: { port: 2 }, jail: { pids: 5 } });
  const { inForce, applied, waiting } = planReload(before, after);
  assert.deepEqual(applied, ["log_level", "jail.pids", "quota.vms"]);
  assert.deepEqual(waiting, ["firecracker", "server.port"]);
  const { logLevel, server, jail, quota, firecracker } = inForce.config;
  assert.deepEqual([logLevel, server.port, jail.pids, quota.vms, firecracker], ["debug", 1, 5, undefined, "/old"]);
  assert.equal(inForce.entries.find(({ setting }) => setting.key === "server.port")?.value, 1);
});

test("what waits is told again at the next reload, until the restart", () => {
  const before = read({ server: { port: 1 } });
  const after = read({ server: { port: 2 } });
  assert.deepEqual(planReload(planReload(before, after).inForce, after).waiting, ["server.port"]);
  assert.deepEqual(planReload(planReload(before, after).inForce, before).waiting, []);
});

test("production stays production", () => {
  const { inForce, waiting } = planReload(read({ preset: "production" }), read({}));
  assert.ok(waiting.includes("preset"));
  assert.equal(inForce.config.production, true);
});

test("nothing changes where nothing is different", () => {
  const { applied, waiting } = planReload(read({}), read({}));
  assert.deepEqual([applied, waiting], [[], []]);
});
