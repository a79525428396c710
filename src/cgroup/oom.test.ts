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
    assert.deepEqual(readOomCounts(host, placement(2)), { kills: 2, limitHits: 3 });
  });
  test("is counted by v1", () => {
    write("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
    write("memory.failcnt", "77\n");
    assert.deepEqual(readOomCounts(host, placement(1)), { kills: 1, limitHits: 77 });
    fs.rmSync(join(directory, "memory.failcnt"));
    assert.deepEqual(readOomCounts(host, placement(1)), { kills: 1, limitHits: 0 });
  });
  test("is not known where nothing counts it", () => {
    write("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n");
    assert.equal(readOomCounts(host, placement(1)), undefined);
    assert.equal(readOomCounts(host, { version: 2, path: "/jailer/vm-1", directories: {} }), undefined);
    const gone = { ...placement(2), directories: { memory: toHostPath(`${directory}/gone`) } };
    assert.equal(readOomCounts(host, gone), undefined);
  });
});
