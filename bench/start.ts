import { Warder } from "../src/index.ts";
import { readFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
const env = process.env as Record<string, string>;
const stateDir = mkdtempSync(join(tmpdir(), "warder-bench-"));
const marker = Buffer.from(env.BENCH_MARKER ?? "~");
const want: Record<string, string> = Object.fromEntries((env.BENCH_CGROUPS ?? "").split(" ").filter(Boolean).map((s) => s.split("=") as [string, string]));
const warder = await Warder.open({
  stateDir, chrootBase: env.BENCH_CHROOT_BASE!, firecracker: env.BENCH_FIRECRACKER!, jailer: env.BENCH_JAILER!, parentCgroup: "firecracker",
  uidRange: { first: Number(env.BENCH_UID ?? 10001), count: 1000 }, allowTestBinaries: true,
});
const n = Number(env.BENCH_N ?? 1);
let next = 0;
let failed = 0;
async function one(id: string) {
  const t0 = performance.now();
  const wall0 = performance.timeOrigin + t0;
  const at: Record<string, number> = {};
  let first: number | null = null;
  let error: string | undefined;
  let exit: number | null = null;
  let level: string | undefined;
  let timings: unknown;
  try {
    const vm = await warder.run({ id, kernel: env.BENCH_KERNEL as never, limits: { memoryBytes: 256 << 20 }, memoryMib: 128 , bootArgs: "console=ttyS0"}, {
      onConsole: (c) => { if (first === null && Buffer.from(c).includes(marker)) first = performance.now() - t0; },
      onStep: (e) => { at[e.step] = performance.now() - t0; },
    });
    at.ready = performance.now() - t0;
    const view = vm.inspect(); level = view.isolation?.level; timings = view.timings;
    const end = await vm.wait();
    exit = end.at + 0.5 - wall0;
  } catch (e) { error = String(e); failed++; }
  const total = performance.now() - t0;
  const rss = Number(/VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
  console.log(JSON.stringify({ contestant: env.BENCH_NAME, id, jail_ms: at.launch, jail_is: "held", boot_ms: at.boot, first_byte_ms: first, ready_ms: at.ready, exit_ms: exit, cleanup_ms: total - (exit ?? 0), rss_kib: rss, level, timings, at, error }));
}
await Promise.all(Array.from({ length: Number(env.BENCH_CONCURRENCY ?? 1) }, async () => { while (next < n) await one(`${env.BENCH_ID_PREFIX}${next++}`); }));
await warder[Symbol.asyncDispose]();
rmSync(stateDir, { recursive: true });
process.exitCode = failed ? 1 : 0;
