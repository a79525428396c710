/** What the API takes, what it refuses, and when. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { fault, request } from "./api.ts";
import { Bench } from "./bench.ts";
import { osError } from "./expect.ts";
import type { Subject } from "./subject.ts";

const DESERIALIZING = "An error occurred when deserializing the json body of a request:";
const BEFORE_START = "400 The requested operation is not supported before starting the microVM.";

type Wrong = readonly [method: string, path: string, body: unknown, message: string];

/** Mistakes that never reach the VM. */
const WRONG: readonly Wrong[] = [
  ["GET", "/nope", undefined, "Invalid request method and/or path: GET nope."],
  ["GET", "/?x=1", undefined, "Invalid request method and/or path: GET ?x=1."],
  ["PUT", "/version", {}, "Invalid request method and/or path: PUT version."],
  ["GET", "/", "{}", "GET request cannot have a body."],
  ["PUT", "/boot-source", undefined, "Empty PUT request."],
  ["PATCH", "/machine-config", undefined, "Empty PATCH request."],
  ["PATCH", "/machine-config", {}, "Empty PATCH request."],
  ["PUT", "/boot-source", "{", `${DESERIALIZING} EOF while parsing an object at line 1 column 1.`],
  ["PUT", "/boot-source", "{} x", `${DESERIALIZING} missing field \`kernel_image_path\` at line 1 column 2.`],
  [
    "PUT",
    "/boot-source",
    { bogus: 1 },
    `${DESERIALIZING} unknown field \`bogus\`, expected one of \`kernel_image_path\`, \`initrd_path\`, \`boot_args\` at line 1 column 8.`,
  ],
  [
    "PUT",
    "/machine-config",
    { vcpu_count: "1" },
    `${DESERIALIZING} invalid type: string "1", expected u8 at line 1 column 17.`,
  ],
  [
    "PUT",
    "/machine-config",
    { vcpu_count: 300 },
    `${DESERIALIZING} invalid value: integer \`300\`, expected u8 at line 1 column 17.`,
  ],
  [
    "PUT",
    "/machine-config",
    '{"vcpu_count":1,\n"mem_size_mib":}',
    `${DESERIALIZING} expected value at line 2 column 16.`,
  ],
  [
    "PUT",
    "/actions",
    { action_type: "Stop" },
    `${DESERIALIZING} unknown variant \`Stop\`, expected one of \`FlushMetrics\`, \`InstanceStart\`, \`SendCtrlAltDel\` at line 1 column 21.`,
  ],
  ["PUT", "/logger", { level: "loud" }, `${DESERIALIZING} Invalid LevelFilter at line 1 column 16.`],
  ["PUT", "/drives/a-b", {}, "API Resource IDs can only contain alphanumeric characters and underscores."],
  ["PUT", "/drives", {}, "The ID cannot be empty."],
  [
    "PUT",
    "/drives/a",
    { drive_id: "b", is_root_device: false },
    "The id from the path does not match the id from the body!",
  ],
  [
    "PUT",
    "/network-interfaces/a",
    { iface_id: "b", host_dev_name: "t" },
    "The id from the path [a] does not match the id from the body [b]!",
  ],
  ["PUT", "/snapshot", {}, "Missing snapshot operation type."],
  ["PUT", "/snapshot/delete", {}, "Invalid request method and/or path: PUT /snapshot/delete."],
  [
    "PUT",
    "/snapshot/load",
    { snapshot_path: "s" },
    `${DESERIALIZING} missing field: either \`mem_backend\` or \`mem_file_path\` is required.`,
  ],
  ["PUT", "/mmds/nope", {}, "Unrecognized PUT request path `nope`."],
];

/** Mistakes that the VM's configuration refuses. */
const REFUSED: readonly Wrong[] = [
  [
    "PUT",
    "/boot-source",
    { kernel_image_path: "/nope" },
    `Boot source error: The kernel file cannot be opened: ${osError(2).display}`,
  ],
  [
    "PUT",
    "/machine-config",
    { vcpu_count: 33, mem_size_mib: 64 },
    "Machine config error: The number of vCPUs must be greater than 0, less than 32 and must be 1 or an even number if SMT is enabled.",
  ],
  [
    "PUT",
    "/machine-config",
    { vcpu_count: 1, mem_size_mib: 0 },
    "Machine config error: The memory size (MiB) is either 0, or not a multiple of the configured page size.",
  ],
  [
    "PUT",
    "/drives/a",
    { drive_id: "a", is_root_device: false },
    "Drive config error: Unable to create the virtio block device: Invalid block config.",
  ],
  [
    "PUT",
    "/drives/a",
    { drive_id: "a", is_root_device: false, path_on_host: "/nope" },
    `Drive config error: Unable to create the virtio block device: Virtio backend error: Error manipulating the backing file: ${osError(2).display} /nope`,
  ],
  [
    "PUT",
    "/network-interfaces/a",
    { iface_id: "a", host_dev_name: "a-name-that-is-too-long" },
    "Network config error: Could not create the network device: Open tap device failed: Invalid interface name",
  ],
  [
    "PUT",
    "/vsock",
    { guest_cid: 3, uds_path: "/nope/v.sock" },
    `Vsock config error: Cannot create backend for vsock device: Error binding to the host-side Unix socket: ${osError(2).display}`,
  ],
  [
    "PUT",
    "/balloon",
    { amount_mib: 1000, deflate_on_oom: true },
    "Balloon config error: Amount of pages requested is too large.",
  ],
  ["GET", "/balloon", undefined, "Balloon config error: No balloon device found."],
  ["PATCH", "/mmds", { a: 1 }, "MMDS error: The MMDS data store is not initialized."],
  [
    "PUT",
    "/mmds/config",
    { network_interfaces: [] },
    "MMMDS config error: The list of network interface IDs that allow forwarding MMDS requests is empty.",
  ],
  [
    "PUT",
    "/actions",
    { action_type: "InstanceStart" },
    "Start microvm error: Cannot start microvm without kernel configuration.",
  ],
];

/** What needs a VM that has started. */
const TOO_EARLY: readonly (readonly [method: string, path: string, body?: unknown])[] = [
  ["PUT", "/actions", { action_type: "FlushMetrics" }],
  ["PUT", "/actions", { action_type: "SendCtrlAltDel" }],
  ["PATCH", "/vm", { state: "Paused" }],
  ["PATCH", "/drives/a", { drive_id: "a" }],
  ["PATCH", "/network-interfaces/a", { iface_id: "a" }],
  ["PATCH", "/balloon", { amount_mib: 1 }],
  ["GET", "/balloon/statistics"],
  ["PUT", "/snapshot/create", { snapshot_path: "s", mem_file_path: "m" }],
];

export function apiRequestCases(subject: Subject): void {
  describe("the API, before the start", () => {
    it("says who it is", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const { version } = subject;
      const instance = { id: bench.id, state: "Not started", vmm_version: version, app_name: "Firecracker" };
      assert.equal((await request(socket, "GET", "/")).body, JSON.stringify(instance));
      assert.equal((await request(socket, "GET", "/version")).body, JSON.stringify({ firecracker_version: version }));
    });

    it("refuses requests that make no sense, each in its words", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      for (const [method, path, body, message] of WRONG) {
        assert.equal(await fault(socket, method, path, body), `400 ${message}`, `${method} ${path}`);
      }
    });

    it("refuses a configuration that can't be, each in its words", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      for (const [method, path, body, message] of REFUSED) {
        assert.equal(await fault(socket, method, path, body), `400 ${message}`, `${method} ${path}`);
      }
    });

    it("refuses what needs a running VM", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      for (const [method, path, body] of TOO_EARLY) {
        assert.equal(await fault(socket, method, path, body), BEFORE_START, `${method} ${path}`);
      }
    });

    it("has defaults for the machine, and changes what it is given", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const machine = async () => JSON.parse((await request(socket, "GET", "/machine-config")).body);
      const defaults = { vcpu_count: 1, mem_size_mib: 128, smt: false, track_dirty_pages: false, huge_pages: "None" };
      assert.deepEqual(await machine(), defaults);
      await request(socket, "PUT", "/machine-config", { vcpu_count: 2, mem_size_mib: 256, track_dirty_pages: true });
      await request(socket, "PATCH", "/machine-config", { vcpu_count: 4 });
      assert.deepEqual(await machine(), { ...defaults, vcpu_count: 4, mem_size_mib: 256, track_dirty_pages: true });
    });

    it("keeps a CPU template that a later request does not mention", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const first = await request(socket, "PUT", "/machine-config", {
        vcpu_count: 1,
        mem_size_mib: 64,
        cpu_template: "T2",
      });
      assert.match(first.head, /^Deprecation: true$/m);
      await request(socket, "PUT", "/machine-config", { vcpu_count: 2, mem_size_mib: 64 });
      assert.match((await request(socket, "GET", "/machine-config")).body, /"vcpu_count":2.*"cpu_template":"T2"/);
    });

    it("puts the root drive first, and replaces a drive in its place", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const disk = bench.write(bench.path("disk"), Buffer.alloc(4096));
      const put = (id: string, more: object) =>
        fault(socket, "PUT", `/drives/${id}`, { drive_id: id, path_on_host: disk, is_root_device: false, ...more });
      await put("a", {});
      await put("b", {});
      await put("root", { is_root_device: true, is_read_only: true });
      await put("a", { cache_type: "Writeback" });
      assert.equal(
        await put("c", { is_root_device: true }),
        "400 Drive config error: A root block device already exists!",
      );
      const { drives } = JSON.parse((await request(socket, "GET", "/vm/config")).body);
      const found = drives.map((drive: { drive_id: string; cache_type: string }) => [drive.drive_id, drive.cache_type]);
      assert.deepEqual(found, [
        ["root", "Unsafe"],
        ["a", "Writeback"],
        ["b", "Unsafe"],
      ]);
    });

    it("makes a vsock's socket at once, and takes an earlier one away", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const [first, second] = [bench.path("v1.sock"), bench.path("v2.sock")];
      assert.equal(await fault(socket, "PUT", "/vsock", { guest_cid: 3, uds_path: first }), "204 ");
      assert.ok(existsSync(first));
      assert.equal(await fault(socket, "PUT", "/vsock", { guest_cid: 3, uds_path: second }), "204 ");
      assert.deepEqual([existsSync(first), existsSync(second)], [false, true]);
      const taken = bench.write(bench.path("taken"), "");
      const problem = "Cannot create backend for vsock device: Error binding to the host-side Unix socket";
      const answer = await fault(socket, "PUT", "/vsock", { guest_cid: 3, uds_path: taken });
      assert.equal(answer, `400 Vsock config error: ${problem}: Address in use (os error 98)`);
    });

    it("takes a path for metrics once", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const path = bench.write(bench.path("metrics"), "");
      assert.equal(await fault(socket, "PUT", "/metrics", { metrics_path: path }), "204 ");
      const problem = "Cannot initialize the metrics system due to bad user input";
      const answer = await fault(socket, "PUT", "/metrics", { metrics_path: path });
      assert.equal(answer, `400 Metrics error: ${problem}: Reinitialization of metrics not allowed.`);
    });

    it("keeps metadata, merges patches, and has a limit", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      await request(socket, "PUT", "/mmds", { b: { c: 1 }, a: 1 });
      await request(socket, "PATCH", "/mmds", { a: null, b: { d: [2] } });
      assert.equal((await request(socket, "GET", "/mmds")).body, '{"b":{"c":1,"d":[2]}}');
      await request(socket, "PUT", "/mmds", { a: "x".repeat(51_100) });
      const answer = await fault(socket, "PATCH", "/mmds", { b: "y".repeat(200) });
      assert.equal(answer, "413 MMDS limit exceeded error: The MMDS patch request doesn't fit.");
    });

    it("writes bodies to the log, but not metadata", async (t) => {
      const bench = new Bench(subject, t);
      const { running, socket } = await bench.startApi();
      await request(socket, "PUT", "/mmds", { secret: "hunter2" });
      await request(socket, "PUT", "/entropy", {});
      assert.match(running.stdout, /\] The API server received a Put request on "\/entropy" with body "\{\}"\.$/m);
      assert.match(running.stdout, /\] The request was executed successfully\. Status code: 204 No Content\.$/m);
      assert.doesNotMatch(running.stdout, /hunter2/);
    });
  });
}
