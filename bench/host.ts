import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type VmSpecInput, Warder } from "../src/index.ts";

/** A manager in directories of its own, for figures that `bench/run` does not take. */
export interface BenchHost extends AsyncDisposable {
  readonly warder: Warder;
  /** What a start needs beside its guest: with or without the jailer, memory as `bench/run` gives it. */
  specOf(id: string, kernel: string, jailed: boolean): VmSpecInput;
}

/** Opens one. Binaries are those of `$FIRECRACKER` and `$JAILER`, else those that Warder finds. */
export async function openBenchHost(): Promise<BenchHost> {
  const directory = mkdtempSync(join(tmpdir(), "bench-"));
  const parentCgroup = `bench-${process.pid}`;
  const { FIRECRACKER: firecracker, JAILER: jailer } = process.env;
  const warder = await Warder.open({
    stateDir: join(directory, "state"),
    chrootBase: join(directory, "jail"),
    parentCgroup,
    ...(firecracker === undefined ? {} : { firecracker }),
    ...(jailer === undefined ? {} : { jailer }),
    allowTestBinaries: true,
    reporter: { warn: () => undefined, note: () => undefined },
  });
  return {
    warder,
    specOf: (id, kernel, jailed) => ({
      id,
      kernel,
      memoryMib: 128,
      ...(jailed ? {} : { jailed, policy: "degrade", apiSocket: join(directory, `${id}.socket`) }),
    }),
    async [Symbol.asyncDispose]() {
      for (const vm of warder.list()) await vm.kill();
      await warder[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
      for (const mount of cgroupMounts()) removeEmpty(`${mount}/${parentCgroup}`);
    },
  };
}

/** Every cgroup hierarchy of this host that has one of these controllers; all of them where none is named. */
export function cgroupMounts(controllers?: readonly string[]): string[] {
  const mounts = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "));
  const isWanted = (options = "") =>
    controllers === undefined || options.split(",").some((option) => controllers.includes(option));
  const v1 = mounts.filter(([, , type, options]) => type === "cgroup" && isWanted(options));
  const v2 = mounts.filter(([, , type]) => type === "cgroup2");
  const taken = controllers === undefined ? [...v1, ...v2] : v1.length > 0 ? v1 : v2;
  return [...new Set(taken.map(([, path = ""]) => path))];
}

function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** Assembles a guest of `bench/guest` into a file in a temporary directory, which the caller removes. */
export function buildGuest(name: string): { readonly path: string; readonly directory: string } {
  const directory = mkdtempSync(join(tmpdir(), "bench-guest-"));
  const path = join(directory, `${name}.elf`);
  const source = join(import.meta.dirname, "guest", `${name}.S`);
  const linker = "-Wl,-Ttext=0x1000000,--build-id=none";
  execFileSync("cc", ["-nostdlib", "-static", linker, "-o", path, source], { stdio: "inherit" });
  return { path, directory };
}

/** The value in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length / 2;
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}
