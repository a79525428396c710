import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import type { Host } from "../../src/host/host.ts";
import type { Candidate } from "../../src/lifecycle/foreign/candidates.ts";
import { ProcessIndex } from "../../src/lifecycle/foreign/process-index.ts";
import { removeForeign } from "../../src/lifecycle/foreign/remove.ts";
import { userOf } from "../../src/lifecycle/foreign/use.ts";
import { findForeign, surveyLeftovers } from "../../src/lifecycle/leftovers.ts";
import type { Machinery } from "../../src/lifecycle/machinery.ts";
import { requires } from "../support/capability.ts";
import { guest, openFixture } from "../support/warder-fixture.ts";

const real = requires("root", "kvm", "real-binaries");
const unique = (process.pid % 46_656).toString(36);

/** The same host two minutes on: what was made just now is not in the making any more. */
function later({ host }: Machinery): Host {
  return { ...host, clock: { ...host.clock, now: () => host.clock.now() + 120_000 } };
}

/** Who uses things, by their paths; `undefined` for what nobody uses. */
async function usersOf(host: Host, candidates: readonly Candidate[]): Promise<Record<string, string | undefined>> {
  const processes = await ProcessIndex.take(host);
  return Object.fromEntries(candidates.map((each) => [each.path, userOf({ host, processes }, each)]));
}

const ip = (...args: string[]) => execFileSync("ip", args);

describe("what is another manager's", real, () => {
  test("is found, and known to be in use while its VM lives", async () => {
    await using fixture = await openFixture();
    const { chrootBase, parentCgroup, stateDir } = fixture.options;
    await using other = await openFixture({ chrootBase, parentCgroup });
    const own = await fixture.warder.run({ kernel: guest("idle") });
    const vm = await other.warder.run({ kernel: guest("idle") });
    const { layout, cgroup, process: identity } = vm.record;
    const { machinery } = fixture.warder;
    const found = findForeign(machinery).filter(({ path }) => path.includes(vm.id) || path.includes(own.id));
    const cgroups = [...new Set<string>(Object.values(cgroup?.directories ?? {}))];
    assert.deepEqual(
      new Set(found.map(({ kind, path }) => `${kind} ${path}`)),
      new Set([`jail ${layout.directory}`, `link ${layout.alias}`, ...cgroups.map((path) => `cgroup ${path}`)]),
    );
    const users = Object.values(await usersOf(later(machinery), found));
    assert.deepEqual(new Set(users), new Set([`process ${identity?.pid}`]));
    const failures = await removeForeign(later(machinery), found);
    assert.equal(failures.length, found.length);
    assert.ok(failures.every(({ error }) => /it is used by process \d+/.test(String(error))));
    assert.equal(vm.state, "running");
    assert.ok(fs.existsSync(stateDir));
  });

  test("is taken away in order once nothing uses it, links and other file systems aside", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const { chrootBase, parentCgroup } = fixture.options;
    const { machinery } = fixture.warder;
    const jail = `${chrootBase}/firecracker/stranger`;
    fs.mkdirSync(`${jail}/root/run`, { recursive: true });
    fs.writeFileSync(`${jail}/root/firecracker`, "");
    fs.symlinkSync("/etc", `${jail}/root/etc`);
    fs.symlinkSync("firecracker/stranger", `${chrootBase}/stranger`);
    fs.symlinkSync("/etc", `${chrootBase}/etc`);
    fs.mkdirSync(`${chrootBase}/firecracker/data/files`, { recursive: true });
    const [hierarchy] = machinery.cgroups.v1.length > 0 ? machinery.cgroups.v1 : [machinery.cgroups.v2];
    const group = `${hierarchy?.directory}/${parentCgroup}/stranger`;
    fs.mkdirSync(`${group}/inner`, { recursive: true });
    const found = findForeign(machinery).filter(
      ({ path }) => path.startsWith(chrootBase) || path.includes(parentCgroup),
    );
    assert.deepEqual(
      found.map(({ kind, path }) => [kind, path]),
      [
        ["jail", jail],
        ["link", `${chrootBase}/stranger`],
        ["cgroup", group],
      ],
    );
    const survey = (await surveyLeftovers(machinery)).filter(({ name }) => found.some(({ path }) => path === name));
    assert.ok(survey.every(({ own, usedBy }) => !own && usedBy === "perhaps whoever makes it just now"));
    assert.deepEqual(await removeForeign(later(machinery), found), []);
    assert.ok(fs.existsSync("/etc/passwd"));
    assert.ok(fs.existsSync(`${chrootBase}/firecracker/data/files`), "what is no jail is left alone");
    fs.rmSync(`${chrootBase}/firecracker/data`, { recursive: true });
    fs.unlinkSync(`${chrootBase}/etc`);
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("stays while somebody stands in it, has mounted something in it, or is about to start in it", async () => {
    await using fixture = await openFixture();
    const { chrootBase } = fixture.options;
    const { machinery } = fixture.warder;
    const jail = (id: string): Candidate => {
      fs.mkdirSync(`${chrootBase}/firecracker/${id}/root/mnt`, { recursive: true });
      return { kind: "jail", path: `${chrootBase}/firecracker/${id}` };
    };
    const [stood, mounted, started] = [jail("stood"), jail("mounted"), jail(`started-${unique}`)];
    const processes = [
      spawn("/bin/sleep", ["600"], { cwd: `${stood.path}/root`, stdio: "ignore" }),
      spawn("/bin/sh", ["-c", "while :; do sleep 1; done", "jailer", "--id", `started-${unique}`], { stdio: "ignore" }),
    ];
    execFileSync("mount", ["-t", "tmpfs", "tmpfs", `${mounted.path}/root/mnt`]);
    try {
      const users = await usersOf(later(machinery), [stood, mounted, started]);
      assert.equal(users[stood.path], `process ${processes[0]?.pid}`);
      assert.match(users[mounted.path] ?? "", /what is mounted at .*\/root\/mnt$/);
      assert.equal(users[started.path], `process ${processes[1]?.pid}`);
      assert.equal((await removeForeign(later(machinery), [stood, mounted, started])).length, 3);
    } finally {
      for (const each of processes) each.kill("SIGKILL");
      execFileSync("umount", [`${mounted.path}/root/mnt`]);
    }
  });

  test("that has become a link by now is not followed", async () => {
    await using fixture = await openFixture();
    const { chrootBase } = fixture.options;
    const path = `${chrootBase}/firecracker/stranger`;
    fs.mkdirSync(`${chrootBase}/elsewhere/root`, { recursive: true });
    fs.mkdirSync(`${chrootBase}/firecracker`, { recursive: true });
    fs.symlinkSync(`${chrootBase}/elsewhere`, path);
    const [failure] = await removeForeign(later(fixture.warder.machinery), [{ kind: "jail", path }]);
    assert.match(String(failure?.error), /is a link/);
    assert.ok(fs.existsSync(`${chrootBase}/elsewhere/root`));
  });

  test("are network namespaces and devices, used by who is in them, has them open, or is at the other end", async () => {
    await using fixture = await openFixture();
    const { machinery } = fixture.warder;
    const [namespace, tap, cable, other] = [`fc-t${unique}`, `tap${unique}`, `veth${unique}a`, `veth${unique}b`];
    const candidates: Candidate[] = [
      { kind: "namespace", path: `/run/netns/${namespace}` },
      { kind: "interface", path: `/sys/class/net/${tap}` },
      { kind: "interface", path: `/sys/class/net/${cable}` },
    ];
    ip("netns", "add", namespace);
    ip("tuntap", "add", "dev", tap, "mode", "tap");
    ip("link", "add", cable, "type", "veth", "peer", "name", other);
    const inside = spawn("ip", ["netns", "exec", namespace, "/bin/sleep", "600"], { stdio: "ignore" });
    try {
      const found = new Set(findForeign(machinery).map(({ path }) => path));
      assert.ok(candidates.every(({ path }) => found.has(path)));
      await until(() => isIn(inside.pid, namespace));
      ip("link", "set", other, "netns", namespace);
      const used = await usersOf(later(machinery), candidates);
      assert.equal(used[`/run/netns/${namespace}`], `process ${inside.pid}`);
      assert.equal(used[`/sys/class/net/${tap}`], undefined);
      assert.match(used[`/sys/class/net/${cable}`] ?? "", /other end, in another network namespace/);
      const { pid, release } = await openTap(tap);
      assert.equal((await usersOf(later(machinery), candidates))[`/sys/class/net/${tap}`], `process ${pid}`);
      await release();
      inside.kill("SIGKILL");
      await until(() => !fs.existsSync(`/proc/${inside.pid}/ns/net`));
      // With its namespace the cable goes as well.
      const failures = await removeForeign(later(machinery), candidates.slice(0, 2));
      assert.deepEqual(failures, []);
      await until(() => !fs.existsSync(`/sys/class/net/${cable}`));
      assert.ok(!fs.existsSync(`/run/netns/${namespace}`) && !fs.existsSync(`/sys/class/net/${tap}`));
    } finally {
      inside.kill("SIGKILL");
      for (const [kind, name] of [
        ["netns", namespace],
        ["link", tap],
        ["link", cable],
      ] as const) {
        try {
          execFileSync("ip", [kind, "delete", name], { stdio: "ignore" });
        } catch {
          // Gone, as it should be.
        }
      }
    }
  });
});

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `not in time: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function isIn(pid: number | undefined, namespace: string): boolean {
  return fs.statSync(`/proc/${pid}/ns/net`).ino === fs.statSync(`/run/netns/${namespace}`).ino;
}

/** A process that has a TAP open, as Firecracker has: TUNSETIFF takes a name and flags (IFF_TAP, IFF_NO_PI). */
async function openTap(name: string): Promise<{ pid: number; release: () => Promise<void> }> {
  const script = `
import fcntl, os, struct, sys, time
fd = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", sys.argv[1].encode(), 0x1002))
print("open", flush=True)
time.sleep(600)`;
  const child = spawn("python3", ["-c", script, name], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const exited = new Promise((resolve) => child.once("exit", resolve));
  return {
    pid: child.pid ?? 0,
    async release() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
