/** The fakes against the suite that the real binaries pass: without rights, as root, and as a newer release. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after } from "node:test";
import { type FakesOptions, installFakes } from "../../src/testing/index.ts";
import { requires } from "../support/capability.ts";
import { fakeSubject, makeFakesDirectory } from "../support/conformance/fakes.ts";
import { type Chapter, conformance, type Subject } from "../support/conformance.ts";

/** Installs fakes of one kind, and gives them to the suite, or to the chapters that such fakes differ in. */
async function conform(
  name: string,
  options: Partial<FakesOptions>,
  more: Partial<Subject> = {},
  ...chapters: readonly Chapter[]
): Promise<void> {
  const directory = makeFakesDirectory();
  after(() => rmSync(directory, { recursive: true, force: true }));
  const cgroups = { kind: "simulated", root: join(directory, "cgroup") } as const;
  const fakes = await installFakes({ directory, cgroups, ...options });
  conformance(fakeSubject(name, fakes, more), chapters.length === 0 ? undefined : chapters);
}

const asRoot = { isPrivileged: true, requirement: requires("root") };

await conform("the fakes without rights", { privileged: false });
await conform("the fakes as root", {}, asRoot, "jail", "modes", "cgroups");
await conform(
  "the fakes of 1.16.1",
  { version: "1.16.1", privileged: false },
  {},
  "jail",
  "firecracker",
  "api devices",
  "snapshots",
);
