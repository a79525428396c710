import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Host } from "../host/host.ts";
import type { ProcessIdentity } from "../vm/process.ts";
import { readProcessUsage } from "./process-usage.ts";

const identity: ProcessIdentity = { pid: 7, startTicks: "100", bootId: "b" };
const stat = "7 (fire) cracker) S 1 7 7 0 -1 4194560 500 0 0 0 150 50 0 0 20 0 3 0 100 1000 200";
const status = "Name:\tfirecracker\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\nThreads:\t3\n";
const io = "rchar: 1\nwchar: 2\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 0\n";

function hostWith(files: Record<string, string>, isAlive = true): Host {
  const readText = (path: string) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: "ENOENT" });
    return text;
  };
  return { roots: { proc: "/p" }, files: { readText }, processes: { isAlive: () => isAlive } } as unknown as Host;
}

describe("what a process without a cgroup of its own uses", () => {
  test("is read from /proc, in the units of a cgroup", () => {
    const host = hostWith({ "/p/7/stat": stat, "/p/7/status": status, "/p/7/io": io });
    assert.deepEqual(readProcessUsage(host, identity), {
      cpuMicroseconds: 2_000_000,
      memoryBytes: 1024 * 1024,
      memoryPeakBytes: 2 * 1024 * 1024,
      pids: 3,
      readBytes: 4096,
      writtenBytes: 8192,
    });
  });

  test("is nothing where it has ended, or its pid is another's by now", () => {
    assert.deepEqual(readProcessUsage(hostWith({}), identity), {});
    const files = { "/p/7/stat": stat, "/p/7/status": status, "/p/7/io": io };
    assert.deepEqual(readProcessUsage(hostWith(files, false), identity), {});
  });

  test("is a refusal of the kernel where it refuses", () => {
    const host = hostWith({});
    const readText = () => {
      throw Object.assign(new Error("EACCES"), { code: "EACCES" });
    };
    assert.throws(() => readProcessUsage({ ...host, files: { readText } } as unknown as Host, identity), /EACCES/);
  });

  test("never has a member that is no number", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (first, second, third) => {
        const usage = readProcessUsage(
          hostWith({ "/p/7/stat": first, "/p/7/status": second, "/p/7/io": third }),
          identity,
        );
        for (const value of Object.values(usage)) assert.ok(Number.isFinite(value) && (value as number) >= 0);
      }),
    );
  });
});
