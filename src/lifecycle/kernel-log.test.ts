import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseOomKill } from "./kernel-log.ts";

/** Of Linux 6.18, word by word. */
const inCgroup =
  "[ 5123.204512] Memory cgroup out of memory: Killed process 4711 (firecracker) total-vm:140312kB, anon-rss:64100kB, file-rss:2300kB, shmem-rss:0kB, UID:500007 pgtables:212kB oom_score_adj:0";
const onHost =
  "[ 5130.000001] Out of memory: Killed process 4712 (fc_vcpu 0) total-vm:140312kB, anon-rss:64100kB, file-rss:2300kB, shmem-rss:0kB, UID:500008 pgtables:212kB oom_score_adj:1000";
const log = ["[    0.000000] Linux version 6.18.0", inCgroup, "[ 5124.1] tap0: link up", onHost, ""].join("\n");
const process = (pid: number, startTicks = "500000") => ({ pid, startTicks, bootId: "b" });

describe("the kernel's log", () => {
  test("tells whose memory was short when it killed a VM, which it knows by its user", () => {
    assert.deepEqual(parseOomKill(log, { uid: 500_007, process: process(1) }), { scope: "cgroup", text: inCgroup });
    assert.deepEqual(parseOomKill(log, { uid: 500_008, process: process(1) }), { scope: "host", text: onHost });
    assert.equal(parseOomKill(log, { uid: 500_009, process: process(4711) }), undefined);
  });
  test("knows a VM without a user of its own by its pid", () => {
    assert.equal(parseOomKill(log, { process: process(4712) })?.scope, "host");
    assert.equal(parseOomKill(log, { process: process(4713) }), undefined);
  });
  test("tells nothing of what had the user or the pid before", () => {
    assert.equal(parseOomKill(log, { uid: 500_007, process: process(4711, "512500") }), undefined);
  });
  test("is read to its end, whatever stands in it", () => {
    fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => void parseOomKill(text, { process: process(1) })));
  });
});
