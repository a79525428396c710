/** Snapshots: made of a paused VM, loaded into a fresh process, and fatal to it when they can't be. */
import assert from "node:assert/strict";
import { rmSync, statSync, truncateSync } from "node:fs";
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
const RESTORING_DEVICES =
  "Failed to build microVM from snapshot: Failed to restore MMIO device: Cannot restore devices";

type Device = readonly [path: string, body: object];

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

    it("is not made where its files can't be", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await startGuest(bench, "tick");
      await request(socket, "PATCH", "/vm", { state: "Paused" });
      for (const [what, more] of [
        ["snapshot", { snapshot_path: "/nope/state" }],
        ["memory", { mem_file_path: "/nope/memory" }],
      ] as const) {
        const answer = await fault(socket, "PUT", "/snapshot/create", { ...create(bench), ...more });
        const problem = `Cannot perform open on the ${what} backing file: ${osError(2).display}`;
        assert.equal(answer, `400 Create snapshot error: ${problem}`);
      }
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

    it("ends the process when its state is no snapshot's", async (t) => {
      const bench = new Bench(subject, t);
      await makeSnapshot(bench);
      const text = bench.write(bench.path("text"), "this is no snapshot at all");
      const { running, socket } = await startRestored(bench);
      const reading = "Failed to get snapshot state from file: Failed to load snapshot state from file:";
      const answer = await load(bench, socket, { snapshot_path: text });
      assert.match(answer.replace(`${RESTORING} ${reading}`, ""), /^ CRC64 validation failed: \d+$/);
      await assertFailedRestore(running);
    });

    it("ends the process when its vsock's socket is there already", async (t) => {
      const bench = new Bench(subject, t);
      await makeSnapshot(bench, [["/vsock", { guest_cid: 3, uds_path: bench.path("v.sock") }]]);
      const { running, socket } = await startRestored(bench);
      const problem = "VsockUnixBackend: Error binding to the host-side Unix socket: Address in use (os error 98)";
      assert.equal(await load(bench, socket), `${RESTORING} ${RESTORING_DEVICES}: ${problem}`);
      await assertFailedRestore(running);
    });

    it("ends the process when a drive's file is gone", async (t) => {
      const bench = new Bench(subject, t);
      const disk = bench.write(bench.path("disk"), Buffer.alloc(4096));
      await makeSnapshot(bench, [["/drives/a", { drive_id: "a", is_root_device: false, path_on_host: disk }]]);
      rmSync(disk);
      const { running, socket } = await startRestored(bench);
      const problem = `Block: Virtio backend error: Error manipulating the backing file: ${osError(2).display} ${disk}`;
      assert.equal(await load(bench, socket), `${RESTORING} ${RESTORING_DEVICES}: ${problem}`);
      await assertFailedRestore(running);
    });

    it("brings its interfaces along, on other TAPs if it is told to", subject.tapRequirement ?? {}, async (t) => {
      const bench = new Bench(subject, t);
      await makeSnapshot(bench, [["/network-interfaces/a", { iface_id: "a", host_dev_name: "t0" }]]);
      const other = { network_overrides: [{ iface_id: "a", host_dev_name: "t1" }] };
      const { socket } = await startRestored(bench);
      assert.equal(await load(bench, socket, other), "204 ");
      assert.match((await request(socket, "GET", "/vm/config")).body, /"iface_id":"a","host_dev_name":"t1"/);
      const again = await fault(socket, "PUT", "/snapshot/load", {
        snapshot_path: bench.path("state"),
        mem_file_path: bench.path("memory"),
      });
      assert.equal(again, "400 The requested operation is not supported after starting the microVM.");
      const unknown = { network_overrides: [{ iface_id: "b", host_dev_name: "t1" }] };
      const { running, socket: refusing } = await startRestored(bench);
      const problem = "Failed to get snapshot state from file: Unknown Network Device.";
      assert.equal(await load(bench, refusing, unknown), `${RESTORING} ${problem}`);
      await assertFailedRestore(running);
    });

    it("is loaded in the old way too, and names where its memory is but once", async (t) => {
      const bench = new Bench(subject, t);
      await makeSnapshot(bench);
      const { socket } = await startRestored(bench);
      const old = { snapshot_path: bench.path("state"), mem_file_path: bench.path("memory") };
      const rule = "too many fields: either `mem_backend` or `mem_file_path` exclusively is required";
      const deserializing = "An error occurred when deserializing the json body of a request:";
      assert.equal(await load(bench, socket, old), `400 ${deserializing} ${rule}.`);
      const answer = await request(socket, "PUT", "/snapshot/load", { ...old, enable_diff_snapshots: true });
      assert.equal(answer.status, 204);
      assert.match(answer.head, /^Deprecation: true$/m);
      assert.match((await request(socket, "GET", "/machine-config")).body, /"track_dirty_pages":true/);
    });
  });
}

function create(bench: Bench): { snapshot_path: string; mem_file_path: string } {
  return { snapshot_path: bench.path("state"), mem_file_path: bench.path("memory") };
}

/** Makes a snapshot of a ticking guest, and ends its process. */
async function makeSnapshot(bench: Bench, devices: readonly Device[] = []): Promise<{ state: string; memory: string }> {
  const { running, socket } = await bench.startApi(["--level", "Off"], { ownNetwork: true });
  const kernel = bench.write(bench.path("kernel"), bench.subject.kernel("tick"));
  await request(socket, "PUT", "/boot-source", { kernel_image_path: kernel });
  await request(socket, "PUT", "/machine-config", { vcpu_count: 1, mem_size_mib: 64 });
  for (const [path, body] of devices) assert.equal(await fault(socket, "PUT", path, body), "204 ");
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
  const running = bench.startFirecracker(["--api-sock", socket], undefined, { ownNetwork: true });
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
