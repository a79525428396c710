import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { applySettings } from "../../src/cgroup/apply.ts";
import { chooseVersion } from "../../src/cgroup/choose.ts";
import { compileContext, compileLimits } from "../../src/cgroup/compile.ts";
import { neededControllers } from "../../src/cgroup/controllers.ts";
import { detectCgroups } from "../../src/cgroup/detect.ts";
import { directoriesOf, placeVm } from "../../src/cgroup/place.ts";
import { removeCgroups } from "../../src/cgroup/remove.ts";
import { type CgroupSetting, jailerCgroups, settingHolds, wantedText } from "../../src/cgroup/setting.ts";
import { openHost } from "../../src/host/real/host.ts";
import { toVmId } from "../../src/vm/id.ts";
import type { IoLimit, Limits } from "../../src/vm/limits.ts";
import type { CgroupPlacement } from "../../src/vm/record.ts";
import type { Bytes } from "../../src/vm/size.ts";
import { requires } from "../support/capability.ts";
import { realBinaries } from "../support/capability-probes.ts";

const found = realBinaries();
const host = openHost();
const cgroups = detectCgroups(host);
const parent = `warder-test-${process.pid}`;

/** A disk that can be throttled. */
function wholeDisk(): string {
  const used = readdirSync("/sys/block").find((name) => Number(readFileSync(`/sys/block/${name}/size`, "utf8")) > 0);
  return used === undefined ? "" : readFileSync(`/sys/block/${used}/dev`, "utf8").trim();
}

/** Settings whose files say something else than was foretold. */
function unheld(placement: CgroupPlacement, settings: readonly CgroupSetting[]): string[] {
  return settings
    .map((setting) => ({ setting, path: join(placement.directories[setting.controller] ?? "", setting.file) }))
    .map((each) => ({ ...each, text: readFileSync(each.path, "utf8") }))
    .filter(({ setting, text }) => !settingHolds(setting, text))
    .map(({ setting, path, text }) => `${path}: ${text.trim()}, not ${wantedText(setting)}`);
}

function canLimit(limits: Limits): boolean {
  try {
    chooseVersion(cgroups, neededControllers(limits));
    return true;
  } catch {
    return false;
  }
}

describe("the real jailer", requires("root", "real-binaries"), () => {
  let base: string;

  before(() => {
    base = mkdtempSync(join(tmpdir(), "warder-jailer-"));
  });

  after(() => {
    rmSync(base, { recursive: true, force: true });
    for (const hierarchy of [...cgroups.v1, ...(cgroups.v2 === undefined ? [] : [cgroups.v2])]) {
      const directory = join(hierarchy.directory, parent);
      if (existsSync(directory)) rmdirSync(directory);
    }
  });

  const io: IoLimit[] = wholeDisk() === "" ? [] : [{ device: wholeDisk(), writeBytesPerSecond: 1_048_576 }];
  const wide: Limits = {
    memoryBytes: 134_217_729 as Bytes,
    cpuPercent: 50,
    cpuWeight: 250,
    pids: 100,
    ...(canLimit({ cpus: "0" }) ? { cpus: "0" } : {}),
    ...(canLimit({ io }) ? { io } : {}),
  };

  function plan(id: string, limits: Limits) {
    const version = chooseVersion(cgroups, neededControllers(limits));
    const compiled = compileLimits(limits, compileContext(cgroups, version));
    return { version, compiled, placement: placeVm(cgroups, version, parent, toVmId(id), compiled.controllers) };
  }

  /** Runs the jailer as far as a Firecracker that only says its version. */
  function jail(id: string, version: 1 | 2, settings: readonly string[]): string {
    const args = [
      ...["--id", id, "--exec-file", found?.firecracker ?? "", "--uid", "10001", "--gid", "10001"],
      ...["--chroot-base-dir", base, "--parent-cgroup", parent, "--cgroup-version", String(version)],
      ...settings.flatMap((each) => ["--cgroup", each]),
      ...["--", "--version"],
    ];
    const { stdout, stderr } = spawnSync(found?.jailer ?? "", args, { encoding: "utf8", timeout: 30_000 });
    return stdout + stderr;
  }

  for (const [name, limits] of Object.entries({ "what is limited": wide, "that nothing is limited": {} })) {
    it(`carries ${name}, and the manager the rest`, async () => {
      const { version, compiled, placement } = plan("carried", limits);
      try {
        assert.match(jail("carried", version, jailerCgroups(compiled.settings)), /^Firecracker v/);
        const carried = compiled.settings.filter(({ carrier }) => carrier === "jailer");
        assert.deepEqual(unheld(placement, carried), []);
        applySettings(host, placement, compiled.settings);
        assert.deepEqual(unheld(placement, compiled.settings), []);
      } finally {
        await removeCgroups(host, placement);
        rmSync(join(base, "firecracker"), { recursive: true, force: true });
      }
      assert.deepEqual(
        directoriesOf(placement).filter((path) => existsSync(path)),
        [],
      );
    });
  }

  it("fails on what is left to the manager, which is why it is", async (context) => {
    const { version, compiled, placement } = plan("refused", wide);
    const [left] = compiled.settings.filter(({ carrier }) => carrier === "manager");
    if (left === undefined) return context.skip("no disk to throttle on this machine");
    try {
      const said = jail("refused", version, [`${left.file}=${left.value}`]);
      assert.match(said, version === 1 ? /Failed to inherit cgroups configurations/ : /Invalid format for cgroups/);
    } finally {
      await removeCgroups(host, placement);
    }
  });
});
