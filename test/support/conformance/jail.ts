/** The jail: what lies where, what is left alone, and what is fatal when it is there already. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { releaseOf } from "../../../src/testing/common/release.ts";
import { Bench } from "./bench.ts";
import { assertFirecrackerError, assertJailerError, osError } from "./expect.ts";
import { commandLine } from "./running.ts";
import type { Subject } from "./subject.ts";
import { until } from "./until.ts";

export function jailCases(subject: Subject): void {
  describe("the jail", () => {
    it("has the binary, the pid file and four directories of the jailed user", async (t) => {
      const bench = new Bench(subject, t);
      await bench.jailVersion();
      const { executable } = bench;
      assert.deepEqual(readdirSync(bench.root).sort(), ["dev", executable, `${executable}.pid`, "run"].sort());
      assert.deepEqual(readdirSync(bench.inJail("run")), []);
      for (const path of ["/", "/dev", "/dev/net", "/run"]) assertOwned(subject, bench.inJail(path), 0o700);
      assert.equal(statSync(bench.inJail(executable)).mode & 0o777, 0o755);
    });

    it("has the nodes that Firecracker needs", async (t) => {
      const bench = new Bench(subject, t);
      await bench.jailVersion();
      const numbers = { "dev/net/tun": [10, 200], "dev/kvm": [10, 232], "dev/urandom": [1, 9] };
      for (const [path, [major, minor]] of Object.entries(numbers)) {
        assertOwned(subject, bench.inJail(path), 0o600);
        if (!subject.isPrivileged) continue;
        const { rdev } = statSync(bench.inJail(path));
        assert.deepEqual([rdev >> 8, rdev & 0xff], [major, minor], path);
      }
    });

    it("has userfaultfd where the kernel has it", async (t) => {
      const bench = new Bench(subject, t);
      await bench.jailVersion();
      const hasDevice = / userfaultfd$/m.test(readFileSync("/proc/misc", "utf8"));
      assert.equal(existsSync(bench.inJail("dev/userfaultfd")), hasDevice);
    });

    it("has a copy of the binary, not a link to it", async (t) => {
      const bench = new Bench(subject, t);
      await bench.jailVersion();
      const [copy, original] = [statSync(bench.inJail(bench.executable)), statSync(subject.firecracker)];
      assert.notEqual(copy.ino, original.ino);
      assert.equal(copy.nlink, 1);
      assert.equal(copy.size, original.size);
    });

    it("leaves alone what was there before", async (t) => {
      const bench = new Bench(subject, t);
      const file = bench.write(bench.inJail("run/disk"), "content");
      const before = statSync(file);
      const { code } = await bench.jailVersion();
      assert.equal(code, 0);
      const after = statSync(file);
      assert.deepEqual([after.uid, after.gid, after.mode], [before.uid, before.gid, before.mode]);
      assert.equal(readFileSync(file, "utf8"), "content");
    });

    it("holds the started process itself, with the pid in the file and the arguments in order", async (t) => {
      const bench = new Bench(subject, t);
      const running = bench.startJailer(bench.jailerArguments({}, ["--", "--level", "Info"]));
      await bench.ready(running, bench.jailSocket);
      assert.equal(readFileSync(bench.pidFile, "utf8"), String(running.pid));
      const words = commandLine(running.pid);
      const own = words.slice(words.indexOf("--id"));
      const expected = [
        "--id",
        bench.id,
        "--start-time-us",
        "N",
        "--start-time-cpu-us",
        "N",
        "--parent-cpu-time-us",
        "N",
      ];
      assert.deepEqual(
        own.map((word) => word.replace(/^\d+$/, "N")),
        [...expected, "--level", "Info"],
      );
    });

    it("runs Firecracker as the given user", needsRoot(subject), async (t) => {
      const bench = new Bench(subject, t);
      const running = bench.startJailer(bench.jailerArguments());
      await bench.ready(running, bench.jailSocket);
      const status = readFileSync(`/proc/${running.pid}/status`, "utf8");
      const { uid, gid } = subject;
      assert.match(status, new RegExp(`^Uid:\t${uid}\t${uid}\t${uid}\t${uid}$`, "m"));
      assert.match(status, new RegExp(`^Gid:\t${gid}\t${gid}\t${gid}\t${gid}$`, "m"));
      assert.match(status, /^Groups:\s*$/m);
      assert.match(status, /^CapEff:\t0000000000000000$/m);
      assertOwned(subject, bench.jailSocket, 0o755);
    });

    it("hands on no descriptors but the standard streams", async (t) => {
      const bench = new Bench(subject, t);
      const file = bench.write(bench.path("secret"), "");
      const handle = openSync(file, "r");
      const running = bench.startJailer(bench.jailerArguments(), handle);
      closeSync(handle);
      await bench.ready(running, bench.jailSocket);
      const directory = `/proc/${running.pid}/fd`;
      const targets = readdirSync(directory).map((fd) => readlinkSync(join(directory, fd)));
      assert.ok(!targets.includes(file));
    });

    it("keeps the limits it is given", async (t) => {
      const bench = new Bench(subject, t);
      const limits = ["--resource-limit", "no-file=512", "--resource-limit", "fsize=1048576"];
      const running = bench.startJailer(bench.jailerArguments({}, limits));
      await bench.ready(running, bench.jailSocket);
      const text = readFileSync(`/proc/${running.pid}/limits`, "utf8");
      assert.match(text, /^Max open files +512 +512 /m);
      assert.match(text, /^Max file size +1048576 +1048576 /m);
    });

    it("allows 2048 open files by default", async (t) => {
      const bench = new Bench(subject, t);
      const running = bench.startJailer(bench.jailerArguments());
      await bench.ready(running, bench.jailSocket);
      assert.match(readFileSync(`/proc/${running.pid}/limits`, "utf8"), /^Max open files +2048 +2048 /m);
    });

    it("refuses an id a second time: the first device is there", async (t) => {
      const bench = new Bench(subject, t);
      await bench.jailVersion();
      assertJailerError(subject, await bench.jailVersion(), ...mknod("/dev/net/tun", 17));
    });

    it("refuses it with the devices gone: the pid file is there", async (t) => {
      const bench = new Bench(subject, t);
      await bench.jailVersion();
      rmSync(bench.inJail("dev"), { recursive: true });
      const { display, debug } = osError(17);
      const file = `/${bench.executable}.pid`;
      const message = `Failed to open file ${file}: ${display}`;
      assertJailerError(subject, await bench.jailVersion(), message, `FileOpen("${file}", ${debug})`);
    });

    it("lets Firecracker fail with both gone and the socket left", async (t) => {
      const bench = new Bench(subject, t);
      const first = bench.startJailer(bench.jailerArguments());
      await bench.ready(first, bench.jailSocket);
      process.kill(first.pid, "SIGKILL");
      await first.end();
      rmSync(bench.inJail("dev"), { recursive: true });
      rmSync(bench.pidFile);
      const path = "/run/firecracker.socket";
      const message = `RunWithApiError error: Failed to open the API socket at: ${path}. Check that it is not already used.`;
      const result = await bench.jailer(bench.jailerArguments());
      assertFirecrackerError(result, 1, message, `RunWithApi(FailedToBindSocket("${path}"))`);
    });

    it("refuses an id whose Firecracker runs: its binary is busy", async (t) => {
      const bench = new Bench(subject, t);
      const running = bench.startJailer(bench.jailerArguments());
      await bench.ready(running, bench.jailSocket);
      const [from, to] = [subject.firecracker, bench.inJail(bench.executable)];
      const { display, debug } = osError(26);
      const result = await bench.jailVersion();
      const busy = `Failed to copy ${from} to ${to}: ${display}`;
      const hardened = `Failed to open ${to}: ${display}`;
      if (!releaseOf(subject.version).hardenedCopy) {
        assertJailerError(subject, result, busy, `Copy("${from}", "${to}", ${debug})`);
      } else assertJailerError(subject, result, hardened, `Open("${to}", ${debug})`);
    });

    it("warns of an urandom that is there, and goes on", async (t) => {
      const bench = new Bench(subject, t);
      bench.write(bench.inJail("dev/urandom"), "");
      const { stdout, code } = await bench.jailVersion();
      const [message] = mknod("/dev/urandom", 17);
      assert.ok(
        stdout.startsWith(`Warning! Could not create /dev/urandom device inside jailer: ${message}.\n`),
        stdout,
      );
      assert.equal(code, 0);
    });

    it("fails at a node in its way, with what came before left behind", async (t) => {
      const bench = new Bench(subject, t);
      bench.write(bench.inJail("dev/kvm"), "");
      assertJailerError(subject, await bench.jailVersion(), ...mknod("/dev/kvm", 17));
      assert.deepEqual(readdirSync(bench.inJail("dev")).sort(), ["kvm", "net"]);
      assert.deepEqual(readdirSync(bench.inJail("dev/net")), ["tun"]);
      assert.ok(!existsSync(bench.pidFile));
    });

    it("fails where a directory of its own should be a file's", async (t) => {
      const bench = new Bench(subject, t);
      bench.write(join(bench.jails, bench.executable), "");
      const { display, debug } = osError(20);
      const message = `Failed to create directory ${bench.root}: ${display}`;
      assertJailerError(subject, await bench.jailVersion(), message, `CreateDir("${bench.root}", ${debug})`);
    });

    it("fails at the old root of an earlier accident", async (t) => {
      const bench = new Bench(subject, t);
      bench.write(bench.inJail("old_root/x"), "");
      const { display, debug } = osError(17);
      const message = `Failed to create the jail root directory before pivoting root: ${display}`;
      assertJailerError(subject, await bench.jailVersion(), message, `MkdirOldRoot(${debug})`);
      assert.ok(!existsSync(bench.inJail("dev")));
    });

    it("fails late where the binary may not be executed", async (t) => {
      const bench = new Bench(subject, t);
      const file = bench.write(bench.path("firecracker-plain"), readFileSync(subject.firecracker));
      chmodSync(file, 0o644);
      const { display, debug } = osError(13);
      const result = await bench.jailVersion({ "exec-file": file });
      assertJailerError(subject, result, `Failed to exec into Firecracker: ${display}`, `Exec(${debug})`);
      assert.ok(existsSync(join(bench.jails, "firecracker-plain", bench.id, "root/firecracker-plain.pid")));
    });

    it("fails at a network namespace that is none, with only the binary left behind", async (t) => {
      const bench = new Bench(subject, t);
      const missing = osError(2);
      const opened = await bench.jailVersion({ netns: "/nope" });
      assertJailerError(
        subject,
        opened,
        `Failed to open file /nope: ${missing.display}`,
        `FileOpen("/nope", ${missing.debug})`,
      );
      const invalid = osError(22);
      const joined = await bench.jailVersion({ netns: "/etc/passwd" });
      const message = `Failed to join network namespace: netns: ${invalid.display}`;
      assertJailerError(subject, joined, message, `SetNetNs(${invalid.debug})`);
      assert.deepEqual(readdirSync(bench.root), [bench.executable]);
    });

    it("is in the network namespace that it was given", needsRoot(subject), async (t) => {
      const bench = new Bench(subject, t);
      const holder = spawn("unshare", ["--net", "sleep", "infinity"], { stdio: "ignore" });
      t.after(() => holder.kill("SIGKILL"));
      const namespace = `/proc/${holder.pid}/ns/net`;
      await until("there is another namespace", () => readlinkSync(namespace) !== readlinkSync("/proc/self/ns/net"));
      const running = bench.startJailer(bench.jailerArguments({ netns: namespace }));
      await bench.ready(running, bench.jailSocket);
      assert.equal(readlinkSync(`/proc/${running.pid}/ns/net`), readlinkSync(namespace));
    });

    it("follows a link planted in place of the binary, until the releases that refuse it", async (t) => {
      const bench = new Bench(subject, t);
      const victim = bench.write(bench.path("victim"), "");
      mkdirSync(bench.root, { recursive: true });
      bench.write(bench.inJail("own"), "");
      symlinkSync(victim, bench.inJail(bench.executable));
      const { stderr } = await bench.jailVersion();
      if (releaseOf(subject.version).hardenedCopy) assert.match(stderr, /^Failed to open .*: Symbolic link loop/);
      else assert.equal(statSync(victim).size, statSync(subject.firecracker).size);
    });
  });
}

function needsRoot(subject: Subject): { skip?: string } {
  return subject.isPrivileged ? {} : { skip: "needs a subject with the rights of root" };
}

function assertOwned(subject: Subject, path: string, mode: number): void {
  const stat = statSync(path);
  assert.equal(stat.mode & 0o777, mode, path);
  if (subject.isPrivileged) assert.deepEqual([stat.uid, stat.gid], [subject.uid, subject.gid], path);
}

function mknod(device: string, code: number): [message: string, debug: string] {
  const { display, debug } = osError(code);
  return [`Failed to create ${device} via mknod inside the jail: ${display}`, `MknodDev(${debug}, "${device}")`];
}
