import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Host } from "../host/host.ts";
import { readSystem } from "./system-info.ts";

function hostWith(files: Record<string, string>, code = "ENOENT"): Pick<Host, "files" | "roots"> {
  const readText = (path: string) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error(`${code}: ${path}`), { code });
    return text;
  };
  return { roots: { proc: "/p" }, files: { readText } } as unknown as Host;
}

describe("what a machine is", () => {
  test("is read from /proc", () => {
    const host = hostWith({
      "/p/sys/kernel/hostname": "h1\n",
      "/p/cpuinfo": "processor\t: 0\nmodel name\t: Some CPU @ 2GHz\n\nprocessor\t: 1\nmodel name\t: Some CPU @ 2GHz\n",
      "/p/meminfo": "MemTotal:        2048 kB\nMemFree:          100 kB\nMemAvailable:    1024 kB\n",
    });
    assert.deepEqual(readSystem(host), {
      hostname: "h1",
      cores: 2,
      cpuModel: "Some CPU @ 2GHz",
      memory: { totalBytes: 2_097_152, availableBytes: 1_048_576 },
    });
  });

  test("leaves out what is not there, as on machines that name no model", () => {
    assert.deepEqual(readSystem(hostWith({})), { cores: 0 });
    assert.deepEqual(readSystem(hostWith({ "/p/cpuinfo": "processor\t: 0\n", "/p/meminfo": "MemTotal: 1 kB\n" })), {
      cores: 1,
    });
  });

  test("is a failure where the kernel refuses", () => {
    assert.throws(() => readSystem(hostWith({}, "EACCES")), /EACCES/);
  });

  test("takes any text", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const files = { "/p/cpuinfo": text, "/p/meminfo": text, "/p/sys/kernel/hostname": text };
        const { cores, memory } = readSystem(hostWith(files));
        assert.ok(cores >= 0 && (memory === undefined || memory.totalBytes >= 0));
      }),
    );
  });
});
