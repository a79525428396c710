import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseOomKill } from "./kernel-log.ts";

/** Of Linux 6.18, word by word. */
const inCgroup =
  "[ 5123.204512] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/jailer/vm-1,task_memcg=/jailer/vm-1,task=firecracker,pid=4711,uid=500007";
const onHost =
  "[ 5130.000001] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/jailer/vm-2,task=fc_vcpu 0,pid=4712,uid=500008";
const killed =
  "[ 5123.204513] Memory cgroup out of memory: Killed process 4711 (firecracker) total-vm:140312kB, anon-rss:64100kB, file-rss:2300kB, shmem-rss:0kB, UID:500007 pgtables:212kB oom_score_adj:0";
const log = ["[    0.000000] Linux version 6.18.0", inCgroup, killed, "[ 5124.1] tap0: link up", onHost, ""].join("\n");
const process = (pid: number, startTicks = "500000") => ({ pid, startTicks, bootId: "b" });

describe("the kernel's log", () => {
  test("tells whose memory was short when it killed a VM, which it knows by its user", () => {
    const victim = { uid: 500_007, process: process(1) };
    assert.deepEqual(parseOomKill(log, { ...victim, cgroup: "/jailer/vm-1" }), { scope: "own", text: inCgroup });
    assert.equal(parseOomKill(log, { ...victim, cgroup: "/jailer/vm-2" })?.scope, "above");
    assert.equal(parseOomKill(log, victim)?.scope, "above");
    assert.deepEqual(parseOomKill(log, { ...victim, uid: 500_008 }), { scope: "host", text: onHost });
    assert.equal(parseOomKill(log, { uid: 500_009, process: process(4711) }), undefined);
  });
  test("knows a VM without a user of its own by its pid", () => {
    assert.equal(parseOomKill(log, { process: process(4712) })?.scope, "host");
    assert.equal(parseOomKill(log, { process: process(4713) }), undefined);
  });
  test("tells nothing of what had the user or the pid before", () => {
    assert.equal(parseOomKill(log, { uid: 500_007, process: process(4711, "512500") }), undefined);
  });
  test("is not led astray by what a task calls itself", () => {
    const disguised = onHost.replace("fc_vcpu 0", "x,pid=4711,uid=500007");
    assert.equal(parseOomKill(disguised, { uid: 500_007, process: process(1) }), undefined);
  });
  test("is read to its end, whatever stands in it", () => {
    fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => void parseOomKill(text, { process: process(1) })));
  });
});
