/** Fakes as a subject, and a place for a case about them. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type FakesOptions, guestKernel, type InstalledFakes, installFakes } from "../../../src/testing/index.ts";
import { Bench } from "./bench.ts";
import type { Subject } from "./subject.ts";

const BASE = "/var/tmp";

/** Makes a directory that fakes can be installed in, whoever is to start them. */
export function makeFakesDirectory(): string {
  const directory = mkdtempSync(join(BASE, "warder-fakes-"));
  chmodSync(directory, 0o755);
  return directory;
}

/** Installed fakes, as the suite wants them. */
export function fakeSubject(name: string, fakes: InstalledFakes, more: Partial<Subject> = {}): Subject {
  const { jailer, firecracker, version, cgroupRoot } = fakes;
  return {
    name,
    jailer,
    firecracker,
    version,
    kernel: guestKernel,
    uid: 30_001,
    gid: 30_001,
    base: BASE,
    isPrivileged: false,
    cgroupV1: cgroupRoot === undefined ? undefined : (controller) => join(cgroupRoot, controller),
    cgroupV2: cgroupRoot === undefined ? undefined : join(cgroupRoot, "unified"),
    requirement: {},
    guestRequirement: {},
    ...more,
  };
}

/** Installs fakes for one case, which are gone with all their processes when it is over. */
export async function benchOfFakes(
  context: TestContext,
  options: Partial<FakesOptions> = {},
  more: Partial<Subject> = {},
): Promise<{ bench: Bench; fakes: InstalledFakes }> {
  const directory = makeFakesDirectory();
  const fakes = await installFakes({ directory, privileged: false, ...options });
  const bench = new Bench(fakeSubject("fakes", fakes, more), context);
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return { bench, fakes };
}
