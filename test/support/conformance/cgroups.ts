/** Cgroups of version 1 and 2 as the jailer makes them. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Bench } from "./bench.ts";
import { assertJailerError, osError } from "./expect.ts";
import type { Subject } from "./subject.ts";

export function cgroupCases(subject: Subject): void {
  describe("--cgroup, as it is written", () => {
    const wrong: readonly (readonly [argument: string, message: string, debug: string])[] = [
      ["pids.max", "Invalid format for cgroups: pids.max", 'CgroupFormat("pids.max")'],
      ["pids.max=", "Invalid format for cgroups: pids.max=", 'CgroupFormat("pids.max=")'],
      ["io.max=8:0 wbps=1", "Invalid format for cgroups: io.max=8:0 wbps=1", 'CgroupFormat("io.max=8:0 wbps=1")'],
      ["pidsmax=1", "Cgroup invalid file: pidsmax", 'CgroupInvalidFile("pidsmax")'],
      ["../pids.max=1", "Cgroup invalid file: ../pids.max=1", 'CgroupInvalidFile("../pids.max=1")'],
      ["/pids.max=1", "Cgroup invalid file: /pids.max=1", 'CgroupInvalidFile("/pids.max=1")'],
    ];
    for (const [argument, message, debug] of wrong) {
      it(`is refused: ${argument}`, cgroupV1(subject), async (t) => {
        const bench = new Bench(subject, t);
        assertJailerError(subject, await bench.jailVersion({}, ["--cgroup", argument]), message, debug);
        assert.ok(!existsSync(bench.root));
      });
    }

    it("is refused for a controller that the host has not", cgroupV1(subject), async (t) => {
      const bench = new Bench(subject, t);
      const result = await bench.jailVersion({}, ["--cgroup", "nosuch.max=1"]);
      const message = "Controller nosuch is unavailable";
      assertJailerError(subject, result, message, 'CgroupControllerUnavailable("nosuch")');
    });

    it("needs a version that there is; without it any number passes", async (t) => {
      const bench = new Bench(subject, t);
      const reason = "No hierarchy found for this cgroup version.";
      const result = await bench.jailVersion({ "cgroup-version": "3" }, ["--cgroup", "pids.max=5"]);
      assertJailerError(subject, result, `Hierarchy not found: ${reason}`, `CgroupHierarchyMissing("${reason}")`);
      assert.equal((await bench.jailVersion({ "cgroup-version": "3" })).code, 0);
    });
  });

  describe("a cgroup of version 1", cgroupV1(subject), () => {
    const roots = subject.cgroupV1 ?? (() => "");

    it("lies below its parent in every hierarchy asked for, with the value, and with the process", async (t) => {
      const bench = new Bench(subject, t);
      const wanted = { "pids.max": "700", "cpu.shares": "512" };
      const flags = Object.entries(wanted).flatMap(([file, value]) => ["--cgroup", `${file}=${value}`]);
      const running = bench.startJailer(bench.jailerArguments({ "parent-cgroup": bench.parentCgroup }, flags));
      await bench.ready(running, bench.jailSocket);
      for (const [file, value] of Object.entries(wanted)) {
        const directory = join(roots(file.split(".")[0] ?? ""), bench.parentCgroup, bench.id);
        assert.equal(readFileSync(join(directory, file), "utf8").trim(), value);
        assert.ok(readFileSync(join(directory, "tasks"), "utf8").split("\n").includes(String(running.pid)));
      }
      assert.ok(!existsSync(join(roots("memory"), bench.parentCgroup)));
    });

    it("takes over its parents' value where it needs one", async (t) => {
      const bench = new Bench(subject, t);
      const nested = `${bench.parentCgroup}/nested`;
      const flags = ["cpuset.cpus=0", "cpuset.mems=0"].flatMap((value) => ["--cgroup", value]);
      const { code } = await bench.jailVersion({ "parent-cgroup": bench.parentCgroup }, flags);
      assert.equal(code, 0);
      const root = roots("cpuset");
      const inherited = readFileSync(join(root, bench.parentCgroup, "cpuset.cpus"), "utf8");
      assert.equal(inherited, readFileSync(join(root, "cpuset.cpus"), "utf8"));
      assert.ok(!existsSync(join(root, nested)));
    });

    it("is left behind, with the jail, when its value is refused", async (t) => {
      const bench = new Bench(subject, t);
      const directory = join(roots("pids"), bench.parentCgroup, bench.id);
      const { display, debug } = osError(22);
      const result = await bench.jailVersion({ "parent-cgroup": bench.parentCgroup }, ["--cgroup", "pids.max=abc"]);
      const file = join(directory, "pids.max");
      assertJailerError(subject, result, `Failed to write to ${file}: ${display}`, `Write("${file}", ${debug})`);
      assert.ok(existsSync(directory));
      assert.ok(existsSync(bench.inJail(bench.executable)));
      assert.ok(!existsSync(bench.inJail("dev")));
    });

    it("has no file that its controller has not", async (t) => {
      const bench = new Bench(subject, t);
      const { display, debug } = osError(2);
      const result = await bench.jailVersion({ "parent-cgroup": bench.parentCgroup }, ["--cgroup", "pids.nosuch=1"]);
      const file = join(roots("pids"), bench.parentCgroup, "pids.nosuch");
      const message = `Failed to read file ${file} into a string: ${display}`;
      assertJailerError(subject, result, message, `ReadToString("${file}", ${debug})`);
    });

    it("is not made without --cgroup", async (t) => {
      const bench = new Bench(subject, t);
      await bench.jailVersion({ "parent-cgroup": bench.parentCgroup });
      assert.ok(!existsSync(join(roots("pids"), bench.parentCgroup)));
    });
  });

  describe("a cgroup of version 2", cgroupV2(subject), () => {
    const root = subject.cgroupV2 ?? "";
    const version = { "cgroup-version": "2" };

    it("is not made without --cgroup, and a parent that is not there is passed over", async (t) => {
      const bench = new Bench(subject, t);
      const { code } = await bench.jailVersion({ ...version, "parent-cgroup": bench.parentCgroup });
      assert.equal(code, 0);
      assert.ok(!existsSync(join(root, bench.parentCgroup)));
    });

    it("takes the process in without --cgroup, when the parent is there", async (t) => {
      const bench = new Bench(subject, t);
      const parent = join(root, bench.parentCgroup);
      mkdirSync(parent);
      if (!root.startsWith("/sys/")) bench.write(join(parent, "cgroup.procs"), "");
      const running = bench.startJailer(bench.jailerArguments({ ...version, "parent-cgroup": bench.parentCgroup }));
      await bench.ready(running, bench.jailSocket);
      assert.equal(readFileSync(join(parent, "cgroup.procs"), "utf8").trim(), String(running.pid));
      process.kill(running.pid, "SIGKILL");
      await running.end();
    });

    it("needs a controller that the root has", async (t) => {
      const bench = new Bench(subject, t);
      const result = await bench.jailVersion(version, ["--cgroup", "nosuch.max=1"]);
      const message = "Controller nosuch is unavailable";
      assertJailerError(subject, result, message, 'CgroupControllerUnavailable("nosuch")');
    });

    it("has its controller handed down by all its ancestors", controller(root, "pids"), async (t) => {
      const bench = new Bench(subject, t);
      const flags = { ...version, "parent-cgroup": bench.parentCgroup };
      const running = bench.startJailer(bench.jailerArguments(flags, ["--cgroup", "pids.max=700"]));
      await bench.ready(running, bench.jailSocket);
      const parent = join(root, bench.parentCgroup);
      for (const directory of [root, parent]) {
        assert.match(readFileSync(join(directory, "cgroup.subtree_control"), "utf8"), /\bpids\b/);
      }
      assert.equal(readFileSync(join(parent, bench.id, "pids.max"), "utf8").trim(), "700");
      assert.match(readFileSync(join(parent, bench.id, "cgroup.procs"), "utf8"), new RegExp(`^${running.pid}$`, "m"));
      process.kill(running.pid, "SIGKILL");
      await running.end();
    });
  });
}

function cgroupV1(subject: Subject): { skip?: string } {
  return subject.cgroupV1 === undefined ? { skip: "needs cgroup v1 that may be written" } : {};
}

function cgroupV2(subject: Subject): { skip?: string } {
  return subject.cgroupV2 === undefined ? { skip: "needs cgroup v2 that may be written" } : {};
}

function controller(root: string, name: string): { skip?: string } {
  const file = join(root, "cgroup.controllers");
  const found = root !== "" && readFileSync(file, "utf8").split(/\s+/).includes(name);
  return found ? {} : { skip: `needs cgroup v2 with the controller ${name}` };
}
