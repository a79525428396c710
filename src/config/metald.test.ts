import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { configProblems } from "../../test/support/config-problems.ts";
import { catalogue } from "./catalogue.ts";
import { readConfig } from "./read.ts";

const read = (environment: Record<string, string>) => readConfig({ overrides: {}, environment });

/** The 29 variables of the seed's own code, each with a value it takes, and where it goes; without, it has no effect. */
const seed: readonly [name: string, value: string, path?: string, found?: unknown][] = [
  ["PORT", "9000", "server.port", 9000],
  ["ADDRESS", "127.0.0.2", "server.address", "127.0.0.2"],
  ["BACKEND", "firecracker", "backend", "firecracker"],
  ["CH_ENDPOINT", "unix:///tmp/ch.sock"],
  ["FC_ENDPOINT", "unix:///tmp/firecracker.sock"],
  ["JAILER_ENABLED", "true", "jail.enabled", true],
  ["JAILER_BINARY", "/usr/bin/jailer", "jailer", "/usr/bin/jailer"],
  ["FIRECRACKER_BINARY", "/usr/bin/firecracker", "firecracker", "/usr/bin/firecracker"],
  ["JAILER_UID", "1000", "jail.uid", 1000],
  ["JAILER_GID", "1000", "jail.gid", 1000],
  ["JAILER_CHROOT_DIR", "/srv/jailer", "chrootBase", "/srv/jailer"],
  ["JAILER_NETNS", "true", "jail.networkNamespace", true],
  ["JAILER_PIDNS", "false", "jail.pidNamespace", false],
  ["JAILER_MEMORY_LIMIT", "134217728", "jail.memoryLimitBytes", 134_217_728],
  ["JAILER_CPU_QUOTA", "100", "jail.cpuQuotaPercent", 100],
  ["JAILER_FD_LIMIT", "1024", "jail.openFiles", 1024],
  ["SOCKET_DIR", "/opt/metald/sockets", "socketDir", "/opt/metald/sockets"],
  ["LOG_DIR", "/opt/metald/logs"],
  ["MAX_PROCESSES", "25", "admission.maxVms", 25],
  ["BILLING_ENABLED", "false"],
  ["BILLING_ENDPOINT", "http://localhost:8081"],
  ["BILLING_MOCK_MODE", "false"],
  ["OTEL_ENABLED", "true", "tracing.enabled", true],
  ["OTEL_SERVICE_NAME", "metald", "tracing.serviceName", "metald"],
  ["OTEL_SERVICE_VERSION", "0.0.1", "tracing.serviceVersion", "0.0.1"],
  ["OTEL_SAMPLING_RATE", "0.25", "tracing.samplingRatio", 0.25],
  ["OTEL_ENDPOINT", "localhost:4318", "tracing.endpoint", "http://localhost:4318"],
  ["OTEL_PROMETHEUS_ENABLED", "true", "metrics.enabled", true],
  ["OTEL_PROMETHEUS_PORT", "9464", "metrics.port", 9464],
];

const entryFor = (name: string, value: string, path: string) =>
  read({ [name]: value, ...(name.endsWith("_GID") ? { UNKEY_METALD_JAILER_UID: "1000" } : {}) }).entries.find(
    ({ setting }) => setting.path === path,
  );

describe("every variable of the seed is taken", () => {
  for (const [suffix, value, path, found] of seed) {
    const name = `UNKEY_METALD_${suffix}`;
    if (path === undefined) {
      test(`${name} has no effect, and that is said`, () => {
        assert.ok(read({ [name]: value }).notices.some((notice) => notice.startsWith(`${name} has no effect: `)));
      });
      continue;
    }
    test(`${name} and WARDER_${suffix} set ${path}`, () => {
      const entry = entryFor(name, value, path);
      assert.deepEqual([entry?.value, entry?.origin, entry?.where()], [found, "environment", name]);
      assert.deepEqual(entryFor(`WARDER_${suffix}`, value, path)?.value, found);
    });
  }
  test("all of them at once, as an environment file has them", () => {
    const environment = Object.fromEntries(seed.map(([suffix, value]) => [`UNKEY_METALD_${suffix}`, value]));
    assert.equal(read(environment).entries.length, catalogue.length);
  });
});

describe("the jailer's switch", () => {
  for (const word of ["1", "t", "T", "TRUE", "true", "True"]) {
    test(`${word} is on`, () => assert.ok(read({ UNKEY_METALD_JAILER_ENABLED: word }).config.jail.enabled));
  }
  for (const word of ["0", "f", "F", "FALSE", "false", "False"]) {
    test(`${word} is off, takes gaps and is warned of`, () => {
      const { config, notices } = read({ UNKEY_METALD_JAILER_ENABLED: word });
      assert.deepEqual([config.jail.enabled, config.isolation], [false, "degrade"]);
      assert.match(notices.join("\n"), /^UNKEY_METALD_JAILER_ENABLED: VMs run WITHOUT a jail/m);
    });
  }
  test("can not be off in production, nor where isolation is strict", () => {
    const off = { UNKEY_METALD_JAILER_ENABLED: "false" };
    assert.deepEqual(Object.keys(configProblems({ environment: { ...off, WARDER_ENV: "production" } })), [
      "UNKEY_METALD_JAILER_ENABLED",
    ]);
    assert.deepEqual(Object.keys(configProblems({ environment: { ...off, WARDER_ISOLATION: "strict" } })), [
      "WARDER_ISOLATION",
    ]);
  });
});

test("what metald took and Warder does not is refused by name", () => {
  const environment = {
    UNKEY_METALD_BACKEND: "cloudhypervisor",
    UNKEY_METALD_TLS_MODE: "spiffe",
    UNKEY_METALD_ADDRESS: "0.0.0.0",
    UNKEY_METALD_JAILER_UID: "0",
    UNKEY_METALD_JAILR_ENABLED: "true",
  };
  assert.deepEqual(Object.keys(configProblems({ environment })).sort(), [
    "UNKEY_METALD_BACKEND",
    "UNKEY_METALD_JAILER_UID",
    "UNKEY_METALD_JAILR_ENABLED",
    "UNKEY_METALD_TLS_MODE",
  ]);
  const { UNKEY_METALD_TLS_MODE: _, ...withoutTls } = environment;
  assert.match(configProblems({ environment: withoutTls }).UNKEY_METALD_ADDRESS ?? "", /needs TLS/);
  assert.match(
    configProblems({ environment }).UNKEY_METALD_JAILR_ENABLED ?? "",
    /Did you mean UNKEY_METALD_JAILER_ENABLED\?/,
  );
});

test("whatever stands in the environment, there is a configuration, or each wrong variable is named", () => {
  const names = catalogue.flatMap(({ variable, aliases, seedVariables }) => [variable, ...aliases, ...seedVariables]);
  const keys = new Set(catalogue.map(({ key }) => key));
  const value = fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.integer().map(String), fc.double().map(String));
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 8 }), (environment) => {
      const problems = configProblems({ environment });
      // Settings that do not go together may be told by the name of the one that nobody gave.
      for (const field of Object.keys(problems)) assert.ok(field in environment || keys.has(field), field);
    }),
    { numRuns: 1000 },
  );
});
