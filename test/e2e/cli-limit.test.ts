import assert from "node:assert/strict";
import * as fs from "node:fs";
import { after, describe, test } from "node:test";
import { requires } from "../support/capability.ts";
import { guest } from "../support/warder-fixture.ts";
import { openCli } from "./cli-fixture.ts";

const disk = `/var/tmp/warder-cli-disk-${process.pid}`;
fs.writeFileSync(disk, Buffer.alloc(1024 * 1024));
after(() => fs.rmSync(disk));

describe("warder limit", requires("root", "kvm", "real-binaries"), () => {
  test("sets and takes away the limit of a disk, from any process", async () => {
    await using cli = openCli();
    const id = cli.id("l");
    const flags = ["--drive", `data=${disk}:ro`, "--drive-limit", "data:ops=100"];
    await cli.json("run", "-d", "--kernel", guest("idle"), "--id", id, ...flags);
    const set = await cli.json<{ limit: object }>(
      "limit",
      id,
      "--drive",
      "data",
      "--bandwidth",
      "10M",
      "--burst",
      "2M",
    );
    assert.deepEqual(set.limit, { bandwidth: { bytesPerSecond: 10 * 1024 ** 2, burstBytes: 2 * 1024 ** 2 } });
    assert.equal((await cli.run("limit", id, "--drive", "data", "--unlimited")).status, 0);
  });

  test("refuses what makes no sense, all of it at once", async () => {
    await using cli = openCli();
    const { status, stderr } = await cli.run("limit", "x", "--burst", "1M", "--direction", "up");
    assert.equal(status, 2, stderr);
    for (const part of ["--drive", "--burst", "--direction", "--unlimited"]) assert.ok(stderr.includes(part), part);
    assert.equal((await cli.run("limit", "no-such", "--drive", "data", "--unlimited")).status, 4);
    const id = cli.id("m");
    await cli.json("run", "-d", "--kernel", guest("idle"), "--id", id);
    assert.equal((await cli.run("limit", id, "--drive", "data", "--unlimited")).status, 2);
  });
});
