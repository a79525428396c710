import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { configProblems } from "../../test/support/config-problems.ts";
import type { ConfigOverrides } from "./overrides.ts";
import { readConfig } from "./read.ts";

const refused: readonly [what: string, overrides: ConfigOverrides, field: string, problem: RegExp][] = [
  ["an address for others without TLS", { server: { address: "0.0.0.0" } }, "server.address", /needs TLS/],
  ["an IPv6 address for others without TLS", { server: { address: "::" } }, "server.address", /needs TLS/],
  ["TLS without a certificate", { tls: { mode: "file" } }, "tls.mode", /cert_file/],
  ["a certificate without its key", { tls: { certFile: "/c" } }, "tls.certFile", /key_file/],
  ["a key without its certificate", { tls: { keyFile: "/k" } }, "tls.keyFile", /cert_file/],
  ["an authority without TLS", { tls: { clientCaFile: "/a" } }, "tls.clientCaFile", /cert_file/],
  [
    "certificates that are asked for without an authority",
    { tls: { certFile: "/c", keyFile: "/k", requireClientCertificate: true } },
    "tls.requireClientCertificate",
    /client_ca_file/,
  ],
  ["a group without a user", { jail: { gid: 5 } }, "jail.gid", /needs jail.uid/],
  ["no door at all", { server: { tcp: false, socket: "none" } }, "server.tcp", /no door/],
  ["one port for two", { server: { port: 9464 } }, "metrics.port", /server.port/],
  [
    "a burst below the rate",
    { server: { requestBurst: 1, requestsPerSecond: 2 } },
    "server.requestBurst",
    /at least server.requests_per_second/,
  ],
  ["gaps in production", { production: true, isolation: "degrade" }, "isolation", /must be strict/],
  ["no jail in production", { preset: "production", jail: { enabled: false } }, "jail.enabled", /must be true/],
];

describe("settings that do not go together are refused", () => {
  for (const [what, overrides, field, problem] of refused) {
    test(what, () => {
      const found = configProblems({ overrides });
      assert.deepEqual(Object.keys(found), [field]);
      assert.match(found[field] ?? "", problem);
    });
  }
  test("and nothing is concluded from a value that is wrong itself", () => {
    const overrides: ConfigOverrides = { set: { "tls.cert_file": "relative" }, server: { address: "0.0.0.0" } };
    assert.deepEqual(Object.keys(configProblems({ overrides })), ["--set tls.cert_file"]);
  });
});

describe("settings that follow from others", () => {
  const read = (overrides: ConfigOverrides) => readConfig({ overrides, environment: {} }).config;
  test("a certificate switches TLS on, and lets others in", () => {
    const { tls } = read({ server: { address: "0.0.0.0" }, tls: { certFile: "/c", keyFile: "/k" } });
    assert.equal(tls.mode, "file");
    assert.equal(read({}).tls.mode, "disabled");
  });
  test("the group is the user's number", () => assert.equal(read({ jail: { uid: 5 } }).jail.gid, 5));
});

describe("settings that are allowed are still told of", () => {
  const notices = (overrides: ConfigOverrides, environment = {}) => readConfig({ overrides, environment }).notices;
  for (const [overrides, notice] of [
    [{ jail: { uid: 5 } }, /^jail.uid: all VMs share the user id 5/],
    [{ jail: { enabled: false } }, /^jail.enabled: VMs run WITHOUT a jail/],
    [{ metrics: { address: "0.0.0.0" } }, /^metrics.address: whoever reaches 0.0.0.0:9464/],
    [{ preset: "production", admission: { cpuOvercommit: 2 } }, /^admission.cpuOvercommit: 2 vCPUs/],
  ] as [ConfigOverrides, RegExp][]) {
    test(String(notice), () => assert.match(notices(overrides).join("\n"), notice));
  }
  test("and nothing is told where there is nothing", () => assert.deepEqual(notices({}), []));
});
