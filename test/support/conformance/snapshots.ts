/** Snapshots: made of a paused VM, loaded into a fresh process, and fatal to it when they can't be. */
import assert from "node:assert/strict";
import { statSync, truncateSync } from "node:fs";
import { describe, it } from "node:test";
import { releaseOf } from "../../../src/testing/common/release.ts";
import { fault, request } from "./api.ts";
import { Bench } from "./bench.ts";
import { osError } from "./expect.ts";
import { startGuest } from "./guests.ts";
import type { Running } from "./running.ts";
import type { Subject } from "./subject.ts";

const MIB = 1_048_576;
const RESTORING = "400 Load snapshot error: Failed to restore from snapshot:";

export function snapshotCases(subject: Subject): void {
  describe("a snapshot", subject.guestRequirement, () => {
    it("is made of a paused VM, with a memory file of the guest's size", async (t) => {
      const bench = new Bench(subject, t);
      const { state, memory } = await makeSnapshot(bench);
      assert.equal(statSync(memory).size, 64 * MIB);
      assert.ok(statSync(state).size > 0);
    });

    it("is not made of a running one", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await startGuest(bench, "tick");
      const problem = "Operation not allowed: save/restore unavailable while running";
      const answer = await fault(socket, "PUT", "/snapshot/create", create(bench));
      assert.equal(answer, `400 Create snapshot error: Cannot save the microVM state: ${problem}`);
    });

    it("of changed pages needs tracking, until 1.13", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await startGuest(bench, "tick");
      await request(socket, "PATCH", "/vm", { state: "Paused" });
      const answer = await fault(socket, "PUT", "/snapshot/create", { ...create(bench), snapshot_type: "Diff" });
      const reason = "Diff snapshots are not allowed on uVMs with dirty page tracking disabled.";
      const expected = `400 The requested operation is not supported: ${reason}`;
      assert.equal(answer, releaseOf(subject.version).v1_13 ? "204 " : expected);
    });

    it("goes on in another process where it was, paused or resumed", async (t) => {
      const bench = new Bench(subject, t);
      await makeSnapshot(bench);
      const paused = await startRestored(bench);
      assert.equal(await load(bench, paused.socket), "204 ");
      assert.match((await request(paused.socket, "GET", "/")).body, /"state":"Paused"/);
      assert.doesNotMatch(paused.running.stdout, /tick/);
      await request(paused.socket, "PATCH", "/vm", { state: "Resumed" });
      await paused.running.says("tick\n");
      paused.running.child.kill("SIGKILL");
      await paused.running.end();
      const resumed = await startRestored(bench);
      assert.equal(await load(bench, resumed.socket, { resume_vm: true }), "204 ");
      await resumed.running.says("tick\n");
    });

    it("can't be loaded over a configuration, and leaves the process as it was", async (t) => {
      const bench = new Bench(subject, t);
      await makeSnapshot(bench);
      const { socket } = await startRestored(bench);
      await request(socket, "PUT", "/machine-config", { vcpu_count: 1, mem_size_mib: 64 });
      const rule = "Loading a microVM snapshot not allowed after configuring boot-specific resources.";
      assert.equal(await load(bench, socket), `400 Load snapshot error: ${rule}`);
      assert.match((await request(socket, "GET", "/")).body, /"state":"Not started"/);
    });

    it("ends the process when a file is missing or no snapshot", async (t) => {
      const bench = new Bench(subject, t);
      await makeSnapshot(bench);
      const { display } = osError(2);
      const state = "Failed to get snapshot state from file";
      const empty = bench.write(bench.path("empty"), "");
      const cases: readonly (readonly [more: object, problem: string])[] = [
        [{ snapshot_path: "/nope" }, `${state}: Failed to open snapshot file: ${display}`],
        [
          { snapshot_path: empty },
          `${state}: Failed to load snapshot state from file: Snapshot file is smaller than CRC length.`,
        ],
        [
          { mem_backend: { backend_type: "File", backend_path: "/nope" } },
          `Failed to load guest memory: Error creating guest memory from file: Failed to load guest memory: ${display}`,
        ],
      ];
      for (const [more, problem] of cases) {
        const { running, socket } = await startRestored(bench);
        assert.equal(await load(bench, socket, more), `${RESTORING} ${problem}`);
        await assertFailedRestore(running);
      }
    });

    it("ends the process when its memory is too short", async (t) => {
      const bench = new Bench(subject, t);
      const { memory } = await makeSnapshot(bench);
      truncateSync(memory, MIB);
      const { running, socket } = await startRestored(bench);
      const answer = await load(bench, socket);
      assert.ok(answer.startsWith(`${RESTORING} Failed to load guest memory: `), answer);
      await assertFailedRestore(running);
    });

    it("ends the process when its vsock's socket is there already", async (t) => {
      const bench = new Bench(subject, t);
      const socketPath = bench.path("v.sock");
      await makeSnapshot(bench, { guest_cid: 3, uds_path: socketPath });
      const { running, socket } = await startRestored(bench);
      const device = "Failed to build microVM from snapshot: Failed to restore MMIO device: Cannot restore devices";
      const problem = "VsockUnixBackend: Error binding to the host-side Unix socket: Address in use (os error 98)";
      assert.equal(await load(bench, socket), `${RESTORING} ${device}: ${problem}`);
      await assertFailedRestore(running);
    });
  });
}

function create(bench: Bench): { snapshot_path: string; mem_file_path: string } {
  return { snapshot_path: bench.path("state"), mem_file_path: bench.path("memory") };
}

/** Makes a snapshot of a ticking guest, and ends its process. */
async function makeSnapshot(bench: Bench, vsock?: object): Promise<{ state: string; memory: string }> {
  const { running, socket } = await bench.startApi(["--level", "Off"]);
  const kernel = bench.write(bench.path("kernel"), bench.subject.kernel("tick"));
  await request(socket, "PUT", "/boot-source", { kernel_image_path: kernel });
  await request(socket, "PUT", "/machine-config", { vcpu_count: 1, mem_size_mib: 64 });
  if (vsock !== undefined) await request(socket, "PUT", "/vsock", vsock);
  await request(socket, "PUT", "/actions", { action_type: "InstanceStart" });
  await running.says("tick\n");
  await request(socket, "PATCH", "/vm", { state: "Paused" });
  const wanted = create(bench);
  assert.equal(await fault(socket, "PUT", "/snapshot/create", wanted), "204 ");
  running.child.kill("SIGKILL");
  await running.end();
  return { state: wanted.snapshot_path, memory: wanted.mem_file_path };
}

let restored = 0;

async function startRestored(bench: Bench): Promise<{ running: Running; socket: string }> {
  const socket = bench.path(`restored-${++restored}.socket`);
  const running = bench.startFirecracker(["--api-sock", socket]);
  await bench.ready(running, socket);
  return { running, socket };
}

async function load(bench: Bench, socket: string, more: object = {}): Promise<string> {
  const memory = { backend_type: "File", backend_path: bench.path("memory") };
  return fault(socket, "PUT", "/snapshot/load", { snapshot_path: bench.path("state"), mem_backend: memory, ...more });
}

async function assertFailedRestore(running: Running): Promise<void> {
  assert.deepEqual(await running.end(), { code: 1, signal: null });
  assert.match(running.stdout, /\] RunWithApiError error: Failed to build MicroVM: Loading snapshot failed\.\.$/m);
  assert.equal(running.stderr, "Error: RunWithApi(BuildMicroVmError(Restore))\n");
}
