import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { configFile, configProblems } from "../../test/support/config-problems.ts";
import { catalogue } from "./catalogue.ts";
import { readConfig } from "./read.ts";

const read = (...lines: string[]) => readConfig({ overrides: {}, environment: {}, file: configFile(...lines) });
const problems = (...lines: string[]) => configProblems({ file: configFile(...lines) });

describe("a configuration file", () => {
  test("gives settings of every kind", () => {
    const { config } = read(
      'state_dir = "/srv/state"',
      'uid_range = "600000:10"',
      "[server]",
      "port = 9000",
      "tcp = true",
      'idle_timeout = "90s"',
      'max_body_bytes = "2MiB"',
      "[admission]",
      "cpu_overcommit = 1.5",
      "[network]",
      'dns = ["1.1.1.1", "2606:4700:4700::1111"]',
      "[tracing]",
      'headers = "authorization=Bearer x"',
    );
    assert.deepEqual([config.stateDir, config.uidRange], ["/srv/state", { first: 600_000, count: 10 }]);
    assert.deepEqual([config.server.port, config.server.idleTimeoutMs], [9000, 90_000]);
    assert.deepEqual([config.server.maxBodyBytes, config.admission.cpuOvercommit], [2 << 20, 1.5]);
    assert.deepEqual(config.network.dns, ["1.1.1.1", "2606:4700:4700::1111"]);
    assert.deepEqual(config.tracing.headers, { authorization: "Bearer x" });
    assert.equal(config.configFile, "/etc/w.toml");
  });
  test("gives tenants quotas of their own", () => {
    const { config } = read("quota.vms = 5", "[quota.tenants.acme]", "vms = 50", "memory_mib = 4096");
    assert.deepEqual(config.quota, { vms: 5, tenants: { acme: { vms: 50, memoryMib: 4096 } } });
    assert.deepEqual(Object.keys(problems("[quota.tenants.acme]", "disks = 1")), ["quota.tenants (/etc/w.toml:1)"]);
    assert.deepEqual(Object.keys(problems("[quota]", 'tenants = "acme"')), ["quota.tenants (/etc/w.toml:2)"]);
  });
  test("is told of by line, all that is wrong at once", () => {
    assert.deepEqual(
      problems(
        "# settings",
        "[server]",
        "port = 99999",
        "prot = 1",
        "max_streams = 1979-05-27",
        "[sever]",
        "port = 1",
        "[network]",
        "dns = [",
        '  "1.1.1.1",',
        '  "one",',
        "]",
      ),
      {
        "server.port (/etc/w.toml:3)": 'must be 0 to 65535, not "99999"',
        "server.max_streams (/etc/w.toml:5)": 'must be 1 to 100000, not "1979-05-27"',
        "network.dns (/etc/w.toml:12)": 'must be a list, of which each is an IP address, not ["1.1.1.1","one"]',
        "server.prot (/etc/w.toml:4)": "is no setting. Did you mean server.port?",
        "sever (/etc/w.toml:6)": "is no setting. Did you mean server?",
      },
    );
  });
  test("a setting without its section is told where it belongs", () => {
    assert.deepEqual(problems("idle_timeout = 1"), {
      "idle_timeout (/etc/w.toml:1)": "is no setting. Did you mean server.idle_timeout?",
    });
  });
  test("a time needs its unit: a bare number could be anything", () => {
    assert.match(Object.values(problems("shutdown.drain_timeout = 30"))[0] ?? "", /with its unit/);
  });
  test("that is no TOML is told by line and column", () => {
    assert.deepEqual(Object.keys(problems("[server", "port = 1")), ["/etc/w.toml"]);
    assert.match(problems("port = 1", "port = 2")["/etc/w.toml"] ?? "", /^line 2, column \d+: /);
  });
  test("a secret is not told, even where it is wrong", () => {
    const [problem = ""] = Object.values(problems('tracing.headers = "s3cret"'));
    assert.match(problem, /^must be headers/);
    assert.doesNotMatch(problem, /s3cret/);
  });
});

test("whatever stands in the file, there is a configuration, or it is refused in words", () => {
  const keys = catalogue.map(({ key }) => key);
  const value = fc.oneof(
    fc.string().map((each) => JSON.stringify(each)),
    fc.integer().map(String),
    fc.constant("[]"),
  );
  const line = fc.tuple(fc.constantFrom(...keys), value).map(([key, each]) => `${key} = ${each}`);
  const text = fc.oneof(fc.array(fc.oneof(line, fc.string()), { maxLength: 6 }));
  fc.assert(
    fc.property(text, (lines) => void problems(...lines)),
    { numRuns: 200 },
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 6 }), (lines) => void problems(...lines)),
    { numRuns: 200 },
  );
});
