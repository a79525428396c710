import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { toJailPath } from "../vm/path.ts";
import { type FirecrackerArguments, firecrackerArgs } from "./arguments.ts";

const path = toJailPath;

describe("firecrackerArgs", () => {
  it("passes what is asked for, and logs the reasons of exits by default", () => {
    assert.deepEqual(
      firecrackerArgs({
        apiSocket: path("/run/firecracker.socket"),
        configFile: path("/io/config"),
        logPath: path("/io/log"),
        metricsPath: path("/io/metrics"),
      }),
      [
        ...["--api-sock", "/run/firecracker.socket"],
        ...["--config-file", "/io/config"],
        ...["--log-path", "/io/log"],
        ...["--level", "Info"],
        ...["--metrics-path", "/io/metrics"],
      ],
    );
  });

  it("passes nothing that is absent", () => {
    assert.deepEqual(firecrackerArgs({ apiSocket: path("/a") }), ["--api-sock", "/a", "--level", "Info"]);
  });

  it("passes flags without a value, and only where they are wanted", () => {
    const args = firecrackerArgs({ apiSocket: path("/a"), showLevel: true, enablePci: true, bootTimer: false });
    assert.deepEqual(args.slice(4), ["--show-level", "--enable-pci"]);
  });

  it("never switches seccomp off, nor names the id that the jailer names", () => {
    const anyPath = fc.constantFrom(path("/a"), path("/b/c"));
    const wanted = fc.record(
      {
        apiSocket: anyPath,
        configFile: anyPath,
        logPath: anyPath,
        metricsPath: anyPath,
        level: fc.constantFrom("Off", "Error", "Debug"),
        showLevel: fc.boolean(),
        showLogOrigin: fc.boolean(),
        enablePci: fc.boolean(),
        bootTimer: fc.boolean(),
        httpMaxPayloadBytes: fc.nat(),
        mmdsLimitBytes: fc.nat(),
        seccompFilter: anyPath,
      },
      { requiredKeys: ["apiSocket"] },
    ) as fc.Arbitrary<FirecrackerArguments>;
    fc.assert(
      fc.property(wanted, (each) => {
        const args = firecrackerArgs(each);
        assert.ok(!args.includes("--no-seccomp") && !args.includes("--id") && !args.includes("--no-api"));
        const names = args.filter((word) => word.startsWith("--"));
        assert.equal(new Set(names).size, names.length);
      }),
    );
  });
});
