import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openHost } from "../host/real/host.ts";
import { toHostPath } from "../vm/path.ts";
import { readOomCounts } from "./oom.ts";

const directory = toHostPath(fs.mkdtempSync(join(tmpdir(), "warder-oom-")));
after(() => fs.rmSync(directory, { recursive: true, force: true }));
const host = openHost();
const placement = (version: 1 | 2) => ({ version, path: "/jailer/vm-1", directories: { memory: directory } });
const write = (name: string, text: string) => fs.writeFileSync(join(directory, name), text);

describe("want of memory", () => {
  test("is counted by v2, the host's apart from the VM's own", () => {
    write("memory.events", "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n");
    assert.deepEqual(readOomCounts(host, placement(2)), { kills: 2, isLimitMet: true });
    write("memory.events", "low 0\nhigh 0\nmax 12\noom 0\noom_kill 1\noom_group_kill 0\n");
    assert.deepEqual(readOomCounts(host, placement(2)), { kills: 1, isLimitMet: false });
  });
  test("is counted by v1, whose limit was met where it failed or was all but used up", () => {
    const limit = (of: string, failures: number, peak: number) => {
      write(`${of}.failcnt`, `${failures}\n`);
      write(`${of}.limit_in_bytes`, "191258624\n");
      write(`${of}.max_usage_in_bytes`, `${peak}\n`);
    };
    const isMet = () => readOomCounts(host, placement(1))?.isLimitMet;
    write("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
    assert.deepEqual(readOomCounts(host, placement(1)), { kills: 1, isLimitMet: false });
    limit("memory", 0, 60_000_000);
    assert.equal(isMet(), false);
    limit("memory", 3, 60_000_000);
    assert.equal(isMet(), true);
    limit("memory", 0, 60_000_000);
    limit("memory.memsw", 0, 190_000_000);
    assert.equal(isMet(), true);
  });
  test("is not known where nothing counts it", () => {
    write("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n");
    assert.equal(readOomCounts(host, placement(1)), undefined);
    assert.equal(readOomCounts(host, { version: 2, path: "/jailer/vm-1", directories: {} }), undefined);
    const gone = { ...placement(2), directories: { memory: toHostPath(`${directory}/gone`) } };
    assert.equal(readOomCounts(host, gone), undefined);
  });
});
