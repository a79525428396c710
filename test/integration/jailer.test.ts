import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { openHost } from "../../src/host/real/host.ts";
import {
  claimDirectory,
  ensureBase,
  fifosOf,
  fillJail,
  linkJail,
  placeFifos,
  removeJail,
} from "../../src/jailer/jail.ts";
import { layOut } from "../../src/jailer/layout.ts";
import { removeAbandonedFifos, SpareFifos } from "../../src/jailer/spare-fifos.ts";
import { type Asset, assetProblem, stageAsset } from "../../src/jailer/stage.ts";
import { isWarderError } from "../../src/vm/error.ts";
import { toVmId } from "../../src/vm/id.ts";
import { toHostPath, toJailPath } from "../../src/vm/path.ts";
import { requires } from "../support/capability.ts";

const host = openHost();
const root = requires("root");
const user = { uid: 61_000, gid: 61_001 };
const code = (wanted: string) => (error: unknown) => isWarderError(error) && error.code === wanted;

/** A chroot base of its own, and one jail in it. */
async function withJail(work: (jail: Awaited<ReturnType<typeof build>>) => Promise<void>): Promise<void> {
  const directory = fs.mkdtempSync("/var/tmp/warder-jailer-");
  try {
    await work(await build(directory));
  } finally {
    for (const line of fs.readFileSync("/proc/self/mounts", "utf8").split("\n").reverse()) {
      const where = line.split(" ")[1];
      if (where?.startsWith(directory)) execFileSync("umount", [where]);
    }
    fs.rmSync(directory, { recursive: true });
  }
}

async function build(directory: string) {
  const base = toHostPath(directory);
  await ensureBase(host, base);
  const layout = layOut(
    base,
    toHostPath("/usr/bin/firecracker"),
    toVmId("vm-1"),
    toJailPath("/tmp/firecracker.socket"),
  );
  claimDirectory(host, layout);
  fillJail(host, layout, user);
  return { directory, base, layout };
}

const asset = (path: string, writable = false): Asset => ({
  role: "kernel",
  path: toHostPath(path),
  inside: toJailPath("/kernel"),
  writable,
});

describe("a jail before the jailer", root, () => {
  test("has root's directories, the user's socket directory and the extra nodes", () =>
    withJail(async ({ layout }) => {
      const facts = (path: string) => {
        const { uid, mode, rdev } = fs.lstatSync(join(layout.root, path));
        return [uid, (mode & 0o777).toString(8), rdev];
      };
      assert.deepEqual(facts("tmp"), [user.uid, "700", 0]);
      assert.deepEqual(facts("io"), [0, "755", 0]);
      assert.deepEqual(facts("dev/null"), [0, "666", 0x103]);
      assert.deepEqual(facts("dev/zero"), [0, "666", 0x105]);
    }));
  test("can be claimed by one only", () =>
    withJail(async ({ layout }) => assert.throws(() => claimDirectory(host, layout), code("jail-exists"))));
  test("has FIFOs that the user can write to and not replace", () =>
    withJail(async ({ base, layout }) => {
      await using spares = new SpareFifos(host, base);
      const fifos = fifosOf(layout);
      placeFifos(host, layout, user, await spares.take(4));
      const inside = fs.lstatSync(join(layout.root, "io/log"));
      assert.equal(inside.ino, fs.lstatSync(fifos.log).ino);
      assert.deepEqual([inside.uid, inside.gid, inside.mode & 0o777, inside.isFIFO()], [0, user.gid, 0o660, true]);
      assert.ok(!fs.existsSync(join(layout.root, "io/console")));
    }));
  test("is removed with its links, and only they", () =>
    withJail(async ({ directory, layout }) => {
      const cgroup = {
        version: 1,
        path: "/jailer/vm-1",
        directories: { memory: toHostPath("/sys/fs/cgroup/memory/jailer/vm-1") },
      } as const;
      linkJail(host, layout, cgroup);
      assert.equal(fs.readlinkSync(join(directory, "vm-1/cgroup/memory")), "/sys/fs/cgroup/memory/jailer/vm-1");
      await removeJail(host, layout);
      await removeJail(host, layout);
      assert.ok(!fs.existsSync(layout.directory));
      fs.symlinkSync("/somewhere/else", layout.alias);
      await removeJail(host, layout);
      assert.equal(fs.readlinkSync(layout.alias), "/somewhere/else");
    }));
});

describe("staging", root, () => {
  test("links what is only read, readable by all and root's", () =>
    withJail(async ({ directory, layout }) => {
      const path = join(directory, "kernel");
      fs.writeFileSync(path, "k", { mode: 0o644 });
      assert.equal(await stageAsset(host, layout, user, asset(path)), "hard-link");
      assert.equal(await stageAsset(host, layout, user, asset(path)), "hard-link");
      assert.equal(fs.statSync(path).nlink, 2);
    }));
  for (const [what, mode, owner, writable] of [
    ["is written", 0o644, 0, true],
    ["not everybody can read", 0o640, 0, false],
    ["others can write", 0o666, 0, false],
    ["is not root's", 0o644, 1234, false],
  ] as const) {
    test(`copies what ${what}, and changes nothing of it`, () =>
      withJail(async ({ directory, layout }) => {
        const path = join(directory, "disk");
        fs.writeFileSync(path, "data");
        fs.chmodSync(path, mode);
        fs.chownSync(path, owner, owner);
        const before = fs.statSync(path);
        assert.equal(await stageAsset(host, layout, user, asset(path, writable)), "copy");
        const copy = fs.statSync(join(layout.root, "kernel"));
        assert.deepEqual([copy.uid, copy.gid, copy.mode & 0o777], [user.uid, user.gid, writable ? 0o600 : 0o400]);
        const after = fs.statSync(path);
        assert.deepEqual(
          [after.mode, after.uid, after.nlink, after.ctimeMs],
          [before.mode, before.uid, 1, before.ctimeMs],
        );
      }));
  }
  test("copies from another file system, and follows a link of the user's", () =>
    withJail(async ({ directory, layout }) => {
      const other = join(directory, "other");
      fs.mkdirSync(other);
      execFileSync("mount", ["-t", "tmpfs", "none", other]);
      fs.writeFileSync(join(other, "kernel"), "k", { mode: 0o644 });
      fs.symlinkSync(join(other, "kernel"), join(directory, "link"));
      assert.equal(await stageAsset(host, layout, user, asset(join(directory, "link"))), "copy");
      assert.equal(fs.readFileSync(join(layout.root, "kernel"), "utf8"), "k");
    }));
  test("says that a file is gone", () =>
    withJail(async ({ layout }) =>
      assert.rejects(stageAsset(host, layout, user, asset("/nowhere")), code("asset-missing")),
    ));
  test("says that the disk is full, and leaves no half copy", () =>
    withJail(async ({ directory }) => {
      const small = join(directory, "small");
      fs.mkdirSync(small);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "none", small]);
      const { layout } = await build(small);
      const disk = join(directory, "disk");
      fs.writeFileSync(disk, Buffer.alloc(1024 * 1024, 1));
      await assert.rejects(stageAsset(host, layout, user, asset(disk, true)), code("disk-full"));
      assert.ok(!fs.existsSync(join(layout.root, "kernel")));
    }));
  test("passes a block device on as a node of the user's", () =>
    withJail(async ({ directory, layout }) => {
      const node = join(directory, "sda");
      execFileSync("mknod", [node, "b", "8", "0"]);
      const drive = { ...asset(node, true), role: "drive data" };
      assert.equal(assetProblem(host, drive), undefined);
      assert.equal(await stageAsset(host, layout, user, drive), "device");
      const { uid, rdev } = fs.statSync(join(layout.root, "kernel"));
      assert.deepEqual([uid, rdev], [user.uid, 0x800]);
    }));
});

describe("assetProblem()", () => {
  test("knows what no VM can boot", (context) => {
    const path = fs.mkdtempSync("/tmp/warder-asset-");
    context.after(() => fs.rmSync(path, { recursive: true }));
    fs.writeFileSync(join(path, "empty"), "");
    assert.match(assetProblem(host, asset("/nowhere")) ?? "", /not there/);
    assert.match(assetProblem(host, asset("/etc")) ?? "", /directory/);
    assert.match(assetProblem(host, asset("/etc/passwd")) ?? "", /no ELF/);
    assert.match(assetProblem(host, asset(join(path, "empty"))) ?? "", /empty/);
    assert.equal(assetProblem(host, asset("/bin/true")), undefined);
    assert.match(assetProblem(host, asset("/dev/null")) ?? "", /character/);
  });
});

describe("spare FIFOs", root, () => {
  test("are made in batches, each given out once, and are gone with their manager", () =>
    withJail(async ({ directory, base }) => {
      const spares = new SpareFifos(host, base);
      const taken = [...(await spares.take(30)), ...(await spares.take(30))];
      assert.equal(new Set(taken).size, 60);
      assert.ok(taken.every((path) => fs.lstatSync(path).isFIFO()));
      await spares[Symbol.asyncDispose]();
      assert.deepEqual(fs.readdirSync(join(directory, ".warder-fifos")), []);
      await assert.rejects(spares.take(100), /closed/);
    }));
  test("of dead managers are removed, and nobody else's", () =>
    withJail(async ({ directory, base }) => {
      await using spares = new SpareFifos(host, base);
      await spares.take(1);
      const own = fs.readdirSync(join(directory, ".warder-fifos"));
      fs.mkdirSync(join(directory, ".warder-fifos/1.1.aaaa-bbbb.0"));
      fs.mkdirSync(join(directory, ".warder-fifos/not-ours"));
      await removeAbandonedFifos(host, base);
      assert.deepEqual(fs.readdirSync(join(directory, ".warder-fifos")).sort(), [...own, "not-ours"].sort());
    }));
});
