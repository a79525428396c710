import assert from "node:assert/strict";
import * as fs from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { openHost } from "../host/real/host.ts";
import { isWarderError } from "../vm/error.ts";
import { toVmId } from "../vm/id.ts";
import { type JailPath, toHostPath } from "../vm/path.ts";
import { layOut } from "./layout.ts";
import { refuseStrangePlace } from "./place.ts";

const host = openHost();

/** A base with the directories of one jail. */
function makeJail(t: TestContext) {
  const directory = fs.realpathSync(fs.mkdtempSync("/var/tmp/warder-place-"));
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }));
  const base = toHostPath(join(directory, "jails"));
  const layout = layOut(base, toHostPath("/x/firecracker"), toVmId("vm-1"), "/s" as JailPath);
  fs.mkdirSync(layout.root, { recursive: true });
  return { directory, base, layout };
}

const refused = (why: RegExp) => (error: unknown) => {
  assert.ok(isWarderError(error), String(error));
  assert.equal(error.code, "cleanup-failed");
  assert.match(error.message, why);
  return true;
};

describe("the place of a jail that is to be removed", () => {
  test("is right where it was made, with the root that was made", (t) => {
    const { layout } = makeJail(t);
    const { dev: device, ino: inode } = fs.statSync(layout.root);
    refuseStrangePlace(host, layout);
    refuseStrangePlace(host, layout, { device, inode });
  });
  test("is right where nothing is left of it, nor of anything above", (t) => {
    const { base, layout } = makeJail(t);
    fs.rmSync(layout.directory, { recursive: true });
    refuseStrangePlace(host, layout, { device: 1, inode: 1 });
    fs.rmSync(base, { recursive: true });
    refuseStrangePlace(host, layout);
  });
  test("is wrong where any directory on the way is a link by now", (t) => {
    const { directory, base, layout } = makeJail(t);
    fs.mkdirSync(join(directory, "etc/vm-1/root"), { recursive: true });
    for (const path of [layout.directory, join(base, "firecracker")]) {
      fs.renameSync(path, `${path}.moved`);
      fs.symlinkSync(join(directory, "etc"), path);
      assert.throws(() => refuseStrangePlace(host, layout), refused(/is a link/));
      fs.unlinkSync(path);
      fs.renameSync(`${path}.moved`, path);
    }
    fs.renameSync(base, `${base}.moved`);
    fs.symlinkSync(`${base}.moved`, base);
    assert.throws(() => refuseStrangePlace(host, layout), refused(/reached by a link|is a link/));
  });
  test("is wrong where another directory has taken the root's place", (t) => {
    const { layout } = makeJail(t);
    const { dev: device, ino: inode } = fs.statSync(layout.root);
    assert.throws(() => refuseStrangePlace(host, layout, { device, inode: inode + 1 }), refused(/was made for the VM/));
  });
  test("is wrong where the layout is another's", (t) => {
    const { layout } = makeJail(t);
    const elsewhere = { ...layout, directory: toHostPath("/etc") };
    assert.throws(() => refuseStrangePlace(host, elsewhere), refused(/its directory is not where/));
  });
  test("is wrong where a file lies there, or a directory of somebody else's", (t) => {
    const { layout } = makeJail(t);
    const other = { ...host, processes: { ...host.processes, effectiveUid: 12_345 } };
    assert.throws(() => refuseStrangePlace(other, layout), refused(/belongs to user/));
    fs.rmSync(layout.directory, { recursive: true });
    fs.writeFileSync(layout.directory, "");
    assert.throws(() => refuseStrangePlace(host, layout), refused(/is a file/));
  });
});
