/** Who is the Firecracker process: plain, daemonized, first of a pid namespace, or both. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { describe, it } from "node:test";
import { request } from "./api.ts";
import { Bench } from "./bench.ts";
import { assertJailerError, osError } from "./expect.ts";
import { commandLine, isAlive, kill, pidsOf } from "./running.ts";
import type { Subject } from "./subject.ts";
import { until } from "./until.ts";

export function modeCases(subject: Subject): void {
  describe("a daemonized jail", () => {
    it("lets the jailer end with 0, and writes the pid file after that", async (t) => {
      const bench = new Bench(subject, t);
      const running = bench.startJailer(bench.jailerArguments({}, ["--daemonize"]));
      assert.deepEqual(await running.end(), { code: 0, signal: null });
      const pid = await bench.pid();
      assert.notEqual(pid, running.pid);
      await assertAnswers(bench);
      assert.ok(pidsOf(bench.id).includes(pid));
    });

    it("has a session without a terminal, and no streams", async (t) => {
      const bench = new Bench(subject, t);
      await bench.startJailer(bench.jailerArguments({}, ["--daemonize"])).end();
      const pid = await bench.pid();
      await assertAnswers(bench);
      assert.deepEqual(
        [0, 1, 2].map((fd) => stream(subject, pid, fd)),
        Array(3).fill("/dev/null"),
      );
      const { session, parent } = statOf(pid);
      assert.notEqual(session, statOf(process.pid).session);
      assert.notEqual(session, pid);
      assert.notEqual(parent, process.pid);
    });

    it("fails in silence over a pid file that is there", async (t) => {
      const bench = new Bench(subject, t);
      bench.write(bench.pidFile, "77");
      const result = await bench.jailer(bench.jailerArguments({}, ["--daemonize"]));
      assert.deepEqual(result, { code: 0, signal: null, stdout: "", stderr: "" });
      await until("the process is gone", () => pidsOf(bench.id).length === 0);
      assert.equal(readFileSync(bench.pidFile, "utf8"), "77");
      assert.ok(!existsSync(bench.jailSocket));
    });

    it("fails aloud before it is daemonized", async (t) => {
      const bench = new Bench(subject, t);
      const { display, debug } = osError(2);
      const result = await bench.jailVersion({ netns: "/nope" }, ["--daemonize"]);
      assertJailerError(subject, result, `Failed to open file /nope: ${display}`, `FileOpen("/nope", ${debug})`);
    });
  });

  describe("a jail with a pid namespace", () => {
    it("lets the jailer end with 0 once the pid file is complete", async (t) => {
      const bench = new Bench(subject, t);
      const running = bench.startJailer(bench.jailerArguments({}, ["--new-pid-ns"]));
      assert.deepEqual(await running.end(), { code: 0, signal: null });
      const pid = Number(readFileSync(bench.pidFile, "utf8"));
      assert.notEqual(pid, running.pid);
      await assertAnswers(bench);
      assert.ok(commandLine(pid).includes(bench.id));
      assert.notEqual(statOf(pid).parent, running.pid);
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      if (subject.isPrivileged) assert.match(status, /^NSpid:\t\d+\t1$/m);
    });

    it("keeps the streams of the jailer", async (t) => {
      const bench = new Bench(subject, t);
      const running = bench.startJailer(bench.jailerArguments({}, ["--new-pid-ns"]));
      await running.end();
      await until("the first line of the log", () => running.stdout.includes("Running Firecracker"));
    });

    it("ignores what a first process ignores, and dies of SIGKILL", async (t) => {
      const bench = new Bench(subject, t);
      await bench.startJailer(bench.jailerArguments({}, ["--new-pid-ns"])).end();
      const pid = await bench.pid();
      await assertAnswers(bench);
      for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT", "SIGUSR1"] as const) {
        kill(pid, signal);
        await assertAnswers(bench);
      }
      kill(pid, "SIGKILL");
      await until("it is gone", () => !isAlive(pid));
    });

    it("dies of SIGHUP, for which there is a handler", async (t) => {
      const bench = new Bench(subject, t);
      const running = bench.startJailer(bench.jailerArguments({}, ["--new-pid-ns"]));
      await running.end();
      const pid = await bench.pid();
      await assertAnswers(bench);
      kill(pid, "SIGHUP");
      await until("it is gone", () => !isAlive(pid));
      assert.match(running.stdout, /Shutting down VM after intercepting signal 1, code 0\.$/m);
    });

    it("runs on unrecorded when the pid file is there, while the jailer fails", async (t) => {
      const bench = new Bench(subject, t);
      bench.write(bench.pidFile, "77");
      const result = await bench.jailer(bench.jailerArguments({}, ["--new-pid-ns"]));
      const { display, debug } = osError(17);
      const file = `/${bench.executable}.pid`;
      const message = `Failed to open file ${file}: ${display}`;
      assertJailerError(subject, result, message, `FileOpen("${file}", ${debug})`);
      await assertAnswers(bench);
      assert.equal(readFileSync(bench.pidFile, "utf8"), "77");
    });

    it("can be daemonized as well", async (t) => {
      const bench = new Bench(subject, t);
      const running = bench.startJailer(bench.jailerArguments({}, ["--new-pid-ns", "--daemonize"]));
      assert.deepEqual(await running.end(), { code: 0, signal: null });
      const pid = await bench.pid();
      await assertAnswers(bench);
      kill(pid, "SIGTERM");
      await assertAnswers(bench);
      assert.equal(running.stdout, "");
    });
  });
}

async function assertAnswers(bench: Bench): Promise<void> {
  const answer = await until("the API answers", async () => {
    if (!existsSync(bench.jailSocket)) return undefined;
    // It is bound before it listens.
    return request(bench.jailSocket, "GET", "/").catch(() => undefined);
  });
  assert.equal(JSON.parse(answer.body).id, bench.id);
}

/** What a stream of another user's process is can be seen by root only. */
function stream(subject: Subject, pid: number, fd: number): string {
  return subject.startAs === undefined || process.getuid?.() === 0
    ? readlinkSync(`/proc/${pid}/fd/${fd}`)
    : "/dev/null";
}

function statOf(pid: number): { parent: number; session: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return { parent: Number(fields[1]), session: Number(fields[3]) };
}
