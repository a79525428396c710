import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, describe, test } from "node:test";
import { openHost } from "../../src/host/real/host.ts";
import { planService } from "../../src/lifecycle/install-service.ts";
import type { ServiceSettings } from "../../src/setup/service/files.ts";
import { planInstall } from "../../src/setup/service/install.ts";
import { applySteps, type Step } from "../../src/setup/service/step.ts";
import { isWarderError } from "../../src/vm/error.ts";
import { type HostPath, toHostPath } from "../../src/vm/path.ts";
import { requires } from "../support/capability.ts";

const { signal } = new AbortController();
const images: string[] = [];
let root: HostPath;

/** The image of a system with nothing in it but accounts. */
beforeEach(() => {
  root = toHostPath(mkdtempSync("/var/tmp/warder-install-"));
  images.push(root);
  mkdirSync(`${root}/etc`);
  writeFileSync(`${root}/etc/passwd`, "root:x:0:0:root:/root:/bin/sh\n");
  writeFileSync(`${root}/etc/group`, "root:x:0:\n");
});
after(() => {
  for (const image of images) rmSync(image, { recursive: true });
});

const read = (path: string) => readFileSync(`${root}${path}`, "utf8");
const kinds = (steps: readonly Step[]) => steps.map(({ kind }) => kind);

async function install(set: Record<string, string> = {}): Promise<Step[]> {
  const steps = await planService({ set }, { root, isToGo: false });
  await applySteps(steps, signal);
  return steps;
}

async function uninstall(): Promise<Step[]> {
  const steps = await planService({}, { root, isToGo: true });
  await applySteps(steps, signal);
  return steps;
}

describe("installing the service", requires("root", "lab-systemd"), () => {
  test("makes files, accounts and directories, and changes nothing the second time", async () => {
    assert.deepEqual(kinds(await install()), ["create", "create", "create", "create", "run", "run"]);
    assert.match(read("/etc/passwd"), /^jailer:x:(\d+):\d+:[^:]*:\/srv\/jailer:\/bin\/false$/m);
    assert.match(read("/etc/group"), /^warder:x:\d+:$/m);
    const [, uid, gid] = /^jailer:x:(\d+):(\d+):/m.exec(read("/etc/passwd")) ?? [];
    const facts = (path: string) => {
      const { mode, uid, gid } = statSync(`${root}${path}`);
      return [(mode & 0o7777).toString(8), uid, gid];
    };
    assert.deepEqual(facts("/srv/jailer"), ["755", Number(uid), Number(gid)]);
    assert.deepEqual(facts("/var/lib/warder"), ["700", 0, 0]);
    assert.deepEqual(facts("/run/warder"), ["755", 0, 0]);
    assert.match(read("/etc/warder/warder.toml"), /^preset = "production"$/m);
    const again = kinds(await install());
    assert.deepEqual(again, ["unchanged", "unchanged", "unchanged", "keep", "unchanged", "unchanged"]);
  });
  test("planned, does nothing", async () => {
    await planService({}, { root, isToGo: false });
    assert.equal(statSync(`${root}/etc/systemd`, { throwIfNoEntry: false }), undefined);
  });
  test("writes the settings it is given into the first file of settings, and reads them the next time", async () => {
    await install({ state_dir: "/data/warder", "server.idle_timeout": "90s", "network.dns": "1.1.1.1" });
    assert.match(read("/etc/warder/warder.toml"), /^state_dir = "\/data\/warder"$/m);
    assert.match(read("/etc/tmpfiles.d/warder.conf"), /^d \/data\/warder 0700 root root -$/m);
    assert.ok(!kinds(await install()).includes("replace"));
  });
  test("does not write into the operator's file of settings", async () => {
    await install();
    await assert.rejects(install({ "server.port": "9" }), /Write them there: server\.port = 9/);
  });
  test("replaces what an earlier version put there", async () => {
    await install();
    const unit = `${root}/etc/systemd/system/warder.service`;
    writeFileSync(unit, `${read("/etc/systemd/system/warder.service").split("\n")[0]}\n[Unit]\n`);
    assert.deepEqual(kinds(await install())[2], "replace");
    assert.match(read("/etc/systemd/system/warder.service"), /^ExecStart=/m);
  });
  test("leaves a unit of somebody else's alone", async () => {
    mkdirSync(`${root}/etc/systemd/system`, { recursive: true });
    writeFileSync(`${root}/etc/systemd/system/warder.service`, "[Unit]\n");
    await assert.rejects(install(), (error) => isWarderError(error) && /somebody else/.test(error.why));
    await uninstall();
    assert.equal(read("/etc/systemd/system/warder.service"), "[Unit]\n");
  });
  test("refuses to run as root what others can change", async () => {
    const program = join(root, "home/bin/warder");
    mkdirSync(join(root, "home/bin"), { recursive: true });
    writeFileSync(program, "");
    const settings: ServiceSettings = {
      program: toHostPath(program),
      runs: [],
      stateDir: toHostPath("/s"),
      chrootBase: toHostPath("/j"),
      configLines: [],
    };
    const plan = () => planInstall(openHost(process.env.PATH), settings, { root });
    assert.ok((await plan()).length > 0);
    chownSync(program, 65_533, 65_533);
    await assert.rejects(plan, /bin\/warder belongs to user 65533, not to root/);
    chownSync(program, 0, 0);
    chmodSync(join(root, "home"), 0o777);
    await assert.rejects(plan, /home is writable by others than root/);
  });
  test("is undone: what is the service's goes, what is the operator's or a VM's stays", async () => {
    await install();
    const removed = (await uninstall()).filter(({ kind }) => kind === "remove");
    assert.equal(removed.length, 3);
    for (const { what } of removed) assert.equal(statSync(what, { throwIfNoEntry: false }), undefined);
    assert.ok(statSync(`${root}/etc/warder/warder.toml`).isFile());
    assert.ok(statSync(`${root}/srv/jailer`).isDirectory());
    assert.ok(!kinds(await uninstall()).includes("remove"));
  });
});
