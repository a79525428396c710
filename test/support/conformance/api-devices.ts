/** Devices: what of them is taken, refused and shown, before the start and while a guest runs that has no drivers. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { releaseOf } from "../../../src/testing/common/release.ts";
import { fault, request } from "./api.ts";
import { Bench, configText } from "./bench.ts";
import { osError } from "./expect.ts";
import type { Subject } from "./subject.ts";

type Request = readonly [method: string, path: string, body?: unknown];

/** A request after another, and the whole answer: its status and its `fault_message`, or its body. */
type Exchange = readonly [...Request, answer: string];

const BALLOON = { amount_mib: 10, deflate_on_oom: true, stats_polling_interval_s: 1 };
const BUCKET = { size: 1000, one_time_burst: null, refill_time: 200 };
const NO_BALLOON = "400 Balloon config error: Error creating the balloon device: No balloon device found.";
const IN_BODY = "An error occurred when deserializing the json body of a request:";

export function apiDeviceCases(subject: Subject): void {
  const { v1_14, v1_16 } = releaseOf(subject.version);

  describe("devices, before the start", () => {
    it("keep to the memory that there is: a balloon in it, and it around a balloon", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      await exchangeAll(socket, [
        ["PUT", "/machine-config", { vcpu_count: 3, mem_size_mib: 64, smt: true }, machineRefusal("vCPUs")],
        ["PUT", "/machine-config", { vcpu_count: 1, mem_size_mib: 65, huge_pages: "2M" }, machineRefusal("memory")],
        ["PUT", "/machine-config", { vcpu_count: 2, mem_size_mib: 64, smt: true, huge_pages: "2M" }, "204 "],
        ["PUT", "/machine-config", { vcpu_count: 1, mem_size_mib: 64 }, "204 "],
        ["PUT", "/balloon", BALLOON, "204 "],
        ["PATCH", "/machine-config", { mem_size_mib: 8 }, machineRefusal("balloon")],
        ["GET", "/balloon/nope", undefined, "400 Unrecognized GET request path `nope`."],
        ["PATCH", "/balloon/nope", {}, "400 Unrecognized PATCH request path `nope`."],
      ]);
      const found = JSON.parse((await request(socket, "GET", "/balloon")).body);
      assert.deepEqual(found, v1_14 ? { ...BALLOON, free_page_hinting: false, free_page_reporting: false } : BALLOON);
    });

    it("include an initrd and boot arguments that fit", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const kernel_image_path = bench.write(bench.path("kernel"), subject.kernel("hello"));
      const put = (more: object) => fault(socket, "PUT", "/boot-source", { kernel_image_path, ...more });
      const missing = "The initrd file cannot be opened due to invalid path or invalid permissions.";
      assert.equal(await put({ initrd_path: "/nope" }), `400 Boot source error: ${missing} ${osError(2).display}`);
      assert.equal(await put({ initrd_path: kernel_image_path }), "204 ");
      const tooLong = "The kernel command line is invalid: Invalid cmdline capacity provided.";
      assert.equal(await put({ boot_args: "x".repeat(2048) }), `400 Boot source error: ${tooLong}`);
      assert.equal(await put({ boot_args: "x".repeat(2047) }), "204 ");
    });

    it("are drives with a file or with a socket, and nothing between", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const file = { path_on_host: bench.write(bench.path("disk"), Buffer.alloc(4096)) };
      const nobody = { socket: bench.path("nobody.sock") };
      const put = (more: object) =>
        fault(socket, "PUT", "/drives/a", { drive_id: "a", is_root_device: false, ...more });
      const creating = "400 Drive config error: Unable to create the virtio block device:";
      const absent = `Vhost-user error: Failed to connect to UDS Unix stream: ${osError(2).display}`;
      assert.equal(await put(nobody), `${creating} Vhost user backend error: ${absent}`);
      for (const mixed of [
        { ...file, ...nobody },
        { ...nobody, is_read_only: true },
        { ...nobody, io_engine: "Sync" },
      ]) {
        assert.equal(await put(mixed), `${creating} Invalid block config.`);
      }
      const limited = { ...file, rate_limiter: { bandwidth: BUCKET } };
      assert.equal(await put(limited), "204 ");
      assert.deepEqual((await shown(socket)).drives[0]?.rate_limiter, { bandwidth: BUCKET, ops: null });
    });

    it("are interfaces, each with a TAP and a MAC address of its own", subject.tapRequirement ?? {}, async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi([], { ownNetwork: true });
      const wrongMac = `400 ${IN_BODY} The provided MAC address is invalid. at line 1 column 57.`;
      const mac = "06:00:00:00:00:01";
      const advice = "Check our documentation on setting up the network devices.";
      const busy = `Resource busy (os error 16). Invalid TUN/TAP Backend provided by t0. ${advice}`;
      const opening = "Could not create the network device: Open tap device failed:";
      await exchangeAll(socket, [
        ["PUT", "/network-interfaces/a", interfaceBody("a", "t0", "bogus"), wrongMac],
        ["PUT", "/network-interfaces/a", interfaceBody("a", "t0", mac), "204 "],
        [
          "PUT",
          "/network-interfaces/b",
          interfaceBody("b", "t0"),
          `400 Network config error: ${opening} Error while creating ifreq structure: ${busy}`,
        ],
        [
          "PUT",
          "/network-interfaces/b",
          interfaceBody("b", "t1", mac),
          `400 Network config error: The MAC address is already in use: ${mac}`,
        ],
        ["PUT", "/network-interfaces/b", interfaceBody("b", "t1", "06:00:00:00:00:02"), "204 "],
      ]);
      const interfaces = (await shown(socket))["network-interfaces"];
      assert.deepEqual(
        interfaces.map(({ iface_id, host_dev_name }) => [iface_id, host_dev_name]),
        [
          ["a", "t0"],
          ["b", "t1"],
        ],
      );
    });

    it(
      "give metadata to interfaces that there are, at a link-local address",
      subject.tapRequirement ?? {},
      async (t) => {
        const bench = new Bench(subject, t);
        const { socket } = await bench.startApi([], { ownNetwork: true });
        const unknown =
          "The list of network interface IDs provided contains at least one ID that does not correspond to any existing network interface.";
        const put = (config: object, answer: string): Exchange => [
          "PUT",
          "/mmds/config",
          { network_interfaces: ["a"], ...config },
          answer,
        ];
        const wrongAddress = (column: number) =>
          `400 ${IN_BODY} invalid IPv4 address syntax at line 1 column ${column}.`;
        await exchangeAll(socket, [
          put({}, `400 MMMDS config error: ${unknown}`),
          put({ ipv4_address: "1.2.3" }, wrongAddress(50)),
          put({ ipv4_address: "169.254.0.256" }, wrongAddress(58)),
          put({ ipv4_address: "169.254.0.01" }, wrongAddress(57)),
          put({ ipv4_address: "10.0.0.1" }, "400 MMMDS config error: The MMDS IPv4 address is not link local."),
          ["PUT", "/network-interfaces/a", interfaceBody("a", "t0"), "204 "],
          put({ network_interfaces: ["a", "b"] }, `400 MMMDS config error: ${unknown}`),
          put({ version: "V2", ipv4_address: "169.254.1.1" }, "204 "),
        ]);
        assert.equal((await shown(socket))["mmds-config"]?.ipv4_address, "169.254.1.1");
        await exchangeAll(socket, [put({}, "204 ")]);
        const { version, ipv4_address } = (await shown(socket))["mmds-config"] ?? {};
        assert.deepEqual([version, ipv4_address], ["V1", "169.254.169.254"]);
      },
    );

    it("open what they are given at once: a socket, a log, metrics", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const binding = "Cannot create backend for vsock device: Error binding to the host-side Unix socket:";
      const metrics = "Cannot initialize the metrics system due to bad user input:";
      const { display } = osError(2);
      await exchangeAll(socket, [
        [
          "PUT",
          "/vsock",
          { guest_cid: 3, uds_path: bench.path("v".repeat(108)) },
          `400 Vsock config error: ${binding} path must be shorter than SUN_LEN`,
        ],
        ["PUT", "/logger", { log_path: "/nope/log" }, `400 Logger error: Failed to open target file: ${display}`],
        ["PUT", "/metrics", { metrics_path: "/nope/metrics" }, `400 Metrics error: ${metrics} ${display}`],
        ["PUT", "/logger", { log_path: bench.write(bench.path("log"), ""), level: "Error" }, "204 "],
        ["PUT", "/vsock", { guest_cid: 3, uds_path: bench.path("v.sock"), vsock_id: "old" }, "204 "],
      ]);
      assert.deepEqual((await shown(socket)).vsock, { guest_cid: 3, uds_path: bench.path("v.sock") });
    });

    it("of later releases are no part of an earlier one", async (t) => {
      const bench = new Bench(subject, t);
      const { socket } = await bench.startApi();
      const later: readonly Request[] = [
        ["PUT", "/hotplug/memory", { total_size_mib: 1024 }],
        ["PUT", "/serial", { serial_out_path: bench.write(bench.path("serial"), "") }],
        ["PUT", "/pmem/a", { id: "a", path_on_host: bench.write(bench.path("pmem"), Buffer.alloc(4096)) }],
      ];
      for (const [method, path, body] of later) {
        const unknown = `400 Invalid request method and/or path: ${method} ${path.split("/")[1]}.`;
        assert.equal(await fault(socket, method, path, body), v1_14 ? "204 " : unknown, path);
      }
      assert.match(await fault(socket, "PUT", "/hotplug/nope", {}), /^400 Invalid request method and\/or path: PUT /);
      const early = "400 The requested operation is not supported before starting the microVM.";
      if (v1_14) assert.equal(await fault(socket, "PATCH", "/hotplug/memory", { requested_size_mib: 128 }), early);
      if (v1_16) assert.equal(await fault(socket, "DELETE", "/drives/a"), early);
    });
  });

  describe("devices of a running guest", subject.guestRequirement, () => {
    it("are drives whose file and limits can be changed", async (t) => {
      const bench = new Bench(subject, t);
      const disk = (name: string) => bench.write(bench.path(name), Buffer.alloc(4096));
      const drive = (id: string, path: string, more: object = {}) => {
        const body = { drive_id: id, is_root_device: false, path_on_host: path, ...more };
        return ["PUT", `/drives/${id}`, body] as const;
      };
      const socket = await start(bench, [
        drive("a", disk("one"), { rate_limiter: { bandwidth: BUCKET } }),
        drive("b", disk("two"), { is_read_only: true }),
      ]);
      const patching = "400 Drive config error: Unable to patch the block device: Device manager error:";
      const please = "Please verify the request arguments.";
      const file = `Virtio backend error: Error manipulating the backing file: ${osError(2).display} /nope`;
      const two = bench.path("two");
      const none = { size: 0, refill_time: 0 };
      await exchangeAll(socket, [
        ["PATCH", "/drives/a", { drive_id: "b" }, "400 The id from the path does not match the id from the body!"],
        ["PATCH", "/drives/c", { drive_id: "c" }, `${patching} Failed to find the device on the bus. ${please}`],
        ["PATCH", "/drives/a", { drive_id: "a" }, `${patching} Running method expected different backend. ${please}`],
        ["PATCH", "/drives/a", { drive_id: "a", path_on_host: "/nope" }, `${patching} ${file} ${please}`],
        ["PATCH", "/drives/a", { drive_id: "a", path_on_host: two }, "204 "],
        ["PATCH", "/drives/a", { drive_id: "a", rate_limiter: { ops: BUCKET } }, "204 "],
        ["PATCH", "/drives/b", { drive_id: "b", rate_limiter: { ops: BUCKET } }, "204 "],
        ["PATCH", "/drives/b", { drive_id: "b", rate_limiter: { ops: none } }, "204 "],
      ]);
      const found = (await shown(socket)).drives.map(({ path_on_host, rate_limiter }) => [path_on_host, rate_limiter]);
      assert.deepEqual(found, [
        [two, { bandwidth: BUCKET, ops: BUCKET }],
        [two, null],
      ]);
    });

    it("are interfaces whose limits can be changed", subject.tapRequirement ?? {}, async (t) => {
      const bench = new Bench(subject, t);
      const socket = await start(bench, [["PUT", "/network-interfaces/a", interfaceBody("a", "t0")]]);
      const unknown = "Unable to update the net device: Device manager error: Failed to find the device on the bus.";
      await exchangeAll(socket, [
        ["PATCH", "/network-interfaces/b", { iface_id: "b" }, `400 Network config error: ${unknown}`],
        ["PATCH", "/network-interfaces/a", { iface_id: "a" }, "204 "],
        ["PATCH", "/network-interfaces/a", { iface_id: "a", tx_rate_limiter: { bandwidth: BUCKET } }, "204 "],
      ]);
      const found = (await shown(socket))["network-interfaces"][0];
      assert.deepEqual([found?.rx_rate_limiter, found?.tx_rate_limiter], [null, { bandwidth: BUCKET, ops: null }]);
    });

    it("are a balloon that waits for a driver, and counts if it was told to", async (t) => {
      const bench = new Bench(subject, t);
      const socket = await start(bench, [["PUT", "/balloon", BALLOON]]);
      const wrong = "400 Balloon config error: Error creating the balloon device:";
      await exchangeAll(socket, [
        ["PATCH", "/balloon", { amount_mib: 5 }, `${wrong} Device not activated yet.`],
        ["PATCH", "/balloon/statistics", { stats_polling_interval_s: 2 }, "204 "],
        [
          "PATCH",
          "/balloon/statistics",
          { stats_polling_interval_s: 0 },
          `${wrong} Statistics cannot be enabled/disabled after activation.`,
        ],
      ]);
      assert.equal((await shown(socket)).balloon?.stats_polling_interval_s, 2);
      const { target_mib, target_pages, actual_mib } = JSON.parse(
        (await request(socket, "GET", "/balloon/statistics")).body,
      );
      assert.deepEqual({ target_mib, target_pages, actual_mib }, { target_mib: 10, target_pages: 2560, actual_mib: 0 });
    });

    it("are a balloon that does not count if it was not told to", async (t) => {
      const bench = new Bench(subject, t);
      const socket = await start(bench, [["PUT", "/balloon", { ...BALLOON, stats_polling_interval_s: 0 }]]);
      const wrong = "400 Balloon config error: Error creating the balloon device:";
      await exchangeAll(socket, [
        ["GET", "/balloon/statistics", undefined, `${wrong} Received stats querry when stats are disabled.`],
        ["PATCH", "/balloon/statistics", { stats_polling_interval_s: 0 }, "204 "],
      ]);
    });

    it("are no balloon if none was asked for", async (t) => {
      const bench = new Bench(subject, t);
      await exchangeAll(await start(bench, []), [
        ["GET", "/balloon", undefined, NO_BALLOON],
        ["GET", "/balloon/statistics", undefined, NO_BALLOON],
        ["PATCH", "/balloon", { amount_mib: 5 }, NO_BALLOON],
        ["PATCH", "/balloon/statistics", { stats_polling_interval_s: 1 }, NO_BALLOON],
      ]);
    });
  });
}

function machineRefusal(what: "vCPUs" | "memory" | "balloon"): string {
  const rules = {
    vCPUs: "number of vCPUs must be greater than 0, less than 32 and must be 1 or an even number if SMT is enabled.",
    memory: "memory size (MiB) is either 0, or not a multiple of the configured page size.",
    balloon: "memory size (MiB) is smaller than the previously set balloon device target size.",
  };
  return `400 Machine config error: The ${rules[what]}`;
}

function interfaceBody(id: string, tap: string, mac?: string): object {
  return { iface_id: id, host_dev_name: tap, ...(mac === undefined ? {} : { guest_mac: mac }) };
}

async function exchangeAll(socket: string, exchanges: readonly Exchange[]): Promise<void> {
  for (const [method, path, body, answer] of exchanges) {
    assert.equal(await fault(socket, method, path, body), answer, `${method} ${path} ${JSON.stringify(body)}`);
  }
}

/** What of the configuration these cases look at. */
interface Shown {
  readonly balloon: { readonly stats_polling_interval_s: number } | null;
  readonly drives: readonly { readonly path_on_host: string; readonly rate_limiter: unknown }[];
  readonly "network-interfaces": readonly {
    readonly iface_id: string;
    readonly host_dev_name: string;
    readonly rx_rate_limiter: unknown;
    readonly tx_rate_limiter: unknown;
  }[];
  readonly "mmds-config": { readonly version: string; readonly ipv4_address: string } | null;
  readonly vsock: unknown;
}

async function shown(socket: string): Promise<Shown> {
  return JSON.parse((await request(socket, "GET", "/vm/config")).body);
}

/** Starts a guest with these devices; its API's socket. */
async function start(bench: Bench, devices: readonly Request[]): Promise<string> {
  const { socket } = await bench.startApi([], { ownNetwork: true });
  const kernel = bench.write(bench.path("kernel"), bench.subject.kernel("tick"));
  const { "boot-source": boot, "machine-config": machine } = JSON.parse(configText(kernel));
  await exchangeAll(socket, [
    ["PUT", "/boot-source", boot, "204 "],
    ["PUT", "/machine-config", machine, "204 "],
    ...devices.map(([method, path, body]): Exchange => [method, path, body, "204 "]),
    ["PUT", "/actions", { action_type: "InstanceStart" }, "204 "],
  ]);
  return socket;
}
