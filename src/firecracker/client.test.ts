import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HttpRequest, HttpResponse, Sockets } from "../host/host.ts";
import { isWarderError, type WarderError } from "../vm/error.ts";
import { toHostPath } from "../vm/path.ts";
import { FirecrackerClient } from "./client.ts";
import { operations } from "./operations.ts";
import { parseVersion, type ReleaseVersion } from "./version.ts";

function version(text: string): ReleaseVersion {
  const parsed = parseVersion(text);
  assert.ok(parsed !== undefined);
  return parsed;
}

const newest = version("1.17.0");
const info = { id: "vm-1", state: "Running", vmm_version: "1.12.1", app_name: "Firecracker" };

async function failure(promise: Promise<unknown>): Promise<WarderError> {
  try {
    await promise;
  } catch (error) {
    if (isWarderError(error)) return error;
    throw error;
  }
  return assert.fail("it did not fail");
}

/** Sockets that answer what they are told to and remember what was asked. */
class FakeSockets implements Sockets {
  readonly requests: HttpRequest[] = [];
  opened = 0;
  closed = 0;
  answer: HttpResponse = { status: 204, body: "" };

  http() {
    this.opened++;
    return {
      request: async (request: HttpRequest) => {
        this.requests.push(request);
        return this.answer;
      },
      close: () => {
        this.closed++;
      },
    };
  }

  client(release = newest): FirecrackerClient {
    return new FirecrackerClient({ sockets: this }, { socket: toHostPath("/run/vm.socket"), version: release });
  }
}

describe("FirecrackerClient, what it sends", () => {
  it("is what each operation's name says", async () => {
    const sockets = new FakeSockets();
    const client = sockets.client();
    const limiter = { bandwidth: { size: 1, refill_time: 100 } };
    const calls: [string, () => Promise<unknown>][] = [
      ['PUT /actions {"action_type":"InstanceStart"}', () => client.start()],
      ['PUT /actions {"action_type":"FlushMetrics"}', () => client.flushMetrics()],
      ['PUT /actions {"action_type":"SendCtrlAltDel"}', () => client.sendCtrlAltDel()],
      ['PATCH /vm {"state":"Paused"}', () => client.pause()],
      ['PATCH /vm {"state":"Resumed"}', () => client.resume()],
      [
        'PUT /boot-source {"kernel_image_path":"/kernel"}',
        () => client.putBootSource({ kernel_image_path: "/kernel" }),
      ],
      [
        'PUT /machine-config {"vcpu_count":1,"mem_size_mib":128}',
        () => client.putMachineConfig({ vcpu_count: 1, mem_size_mib: 128 }),
      ],
      ['PATCH /machine-config {"smt":true}', () => client.patchMachineConfig({ smt: true })],
      ['PUT /cpu-config {"cpuid_modifiers":[]}', () => client.putCpuConfig({ cpuid_modifiers: [] })],
      [
        'PUT /drives/root_1 {"drive_id":"root_1","is_root_device":true,"path_on_host":"/d"}',
        () => client.putDrive({ drive_id: "root_1", is_root_device: true, path_on_host: "/d" }),
      ],
      [
        'PATCH /drives/a {"drive_id":"a","path_on_host":"/e"}',
        () => client.patchDrive({ drive_id: "a", path_on_host: "/e" }),
      ],
      ["DELETE /drives/a", () => client.unplug("drive", "a")],
      [
        'PUT /network-interfaces/eth0 {"iface_id":"eth0","host_dev_name":"tap0","mtu":1400}',
        () => client.putNetworkInterface({ iface_id: "eth0", host_dev_name: "tap0", mtu: 1400 }),
      ],
      [
        'PATCH /network-interfaces/eth0 {"iface_id":"eth0","rx_rate_limiter":{"bandwidth":{"size":1,"refill_time":100}}}',
        () => client.patchNetworkInterface({ iface_id: "eth0", rx_rate_limiter: limiter }),
      ],
      ["DELETE /network-interfaces/eth0", () => client.unplug("network-interface", "eth0")],
      ['PUT /pmem/p {"id":"p","path_on_host":"/p"}', () => client.putPmem({ id: "p", path_on_host: "/p" })],
      ['PATCH /pmem/p {"id":"p"}', () => client.patchPmem({ id: "p" })],
      ["DELETE /pmem/p", () => client.unplug("pmem", "p")],
      ['PUT /vsock {"guest_cid":3,"uds_path":"/v"}', () => client.putVsock({ guest_cid: 3, uds_path: "/v" })],
      ["PUT /entropy {}", () => client.putEntropy()],
      ['PUT /serial {"serial_out_path":"/s"}', () => client.putSerial({ serial_out_path: "/s" })],
      ['PUT /logger {"level":"Debug"}', () => client.putLogger({ level: "Debug" })],
      ['PUT /metrics {"metrics_path":"/m"}', () => client.putMetrics({ metrics_path: "/m" })],
      ['PUT /mmds {"a":1}', () => client.putMmds({ a: 1 })],
      ['PATCH /mmds {"a":null}', () => client.patchMmds({ a: null })],
      [
        'PUT /mmds/config {"network_interfaces":["eth0"]}',
        () => client.putMmdsConfig({ network_interfaces: ["eth0"] }),
      ],
      [
        'PUT /balloon {"amount_mib":1,"deflate_on_oom":true}',
        () => client.balloon.put({ amount_mib: 1, deflate_on_oom: true }),
      ],
      ['PATCH /balloon {"amount_mib":2}', () => client.balloon.resize(2)],
      ['PATCH /balloon/statistics {"stats_polling_interval_s":5}', () => client.balloon.setPollingInterval(5)],
      ['PATCH /balloon/hinting/start {"acknowledge_on_stop":true}', () => client.balloon.startHinting(true)],
      ["PATCH /balloon/hinting/stop {}", () => client.balloon.stopHinting()],
      ['PUT /hotplug/memory {"total_size_mib":1024}', () => client.hotplugMemory.put({ total_size_mib: 1024 })],
      ['PATCH /hotplug/memory {"requested_size_mib":512}', () => client.hotplugMemory.resize(512)],
      [
        'PUT /snapshot/create {"snapshot_path":"/s","mem_file_path":"/m"}',
        () => client.createSnapshot({ snapshot_path: "/s", mem_file_path: "/m" }),
      ],
      [
        'PUT /snapshot/load {"snapshot_path":"/s","mem_backend":{"backend_type":"File","backend_path":"/m"}}',
        () => client.loadSnapshot({ snapshot_path: "/s", mem_backend: { backend_type: "File", backend_path: "/m" } }),
      ],
    ];
    for (const [, call] of calls) await call();
    const sent = sockets.requests.map(({ method, path, body }) =>
      [method, path, JSON.stringify(body)].filter(Boolean).join(" "),
    );
    assert.deepEqual(
      sent,
      calls.map(([wanted]) => wanted),
    );
    assert.equal(sockets.opened, 1);
  });

  it("parses every answer", async () => {
    const sockets = new FakeSockets();
    const client = sockets.client();
    const machine = { vcpu_count: 1, mem_size_mib: 128, smt: false, track_dirty_pages: false, huge_pages: "None" };
    const config = {
      "machine-config": machine,
      "boot-source": { kernel_image_path: "", boot_args: null },
      drives: [{ drive_id: "a", partuuid: null }],
      "network-interfaces": [],
      balloon: null,
    };
    const pages = { target_pages: 0, actual_pages: 0, target_mib: 0, actual_mib: 0 };
    const hotplug = {
      total_size_mib: 1,
      slot_size_mib: 1,
      block_size_mib: 1,
      plugged_size_mib: 0,
      requested_size_mib: 0,
    };
    const asks: [string, unknown, () => Promise<unknown>][] = [
      ["/", info, () => client.instanceInfo()],
      ["/machine-config", machine, () => client.machineConfig()],
      ["/vm/config", config, () => client.vmConfig()],
      ["/mmds", { a: [1, null] }, () => client.mmds()],
      ["/balloon", { amount_mib: 0, deflate_on_oom: true, stats_polling_interval_s: 0 }, () => client.balloon.get()],
      ["/balloon/statistics", { ...pages, free_memory: 7 }, () => client.balloon.statistics()],
      ["/balloon/hinting/status", { host_cmd: 1, guest_cmd: null }, () => client.balloon.hintingStatus()],
      ["/hotplug/memory", hotplug, () => client.hotplugMemory.get()],
    ];
    for (const [path, answer, ask] of asks) {
      sockets.answer = { status: 200, body: JSON.stringify(answer) };
      assert.deepEqual(await ask(), answer, path);
      assert.equal(sockets.requests.at(-1)?.path, path);
    }
    sockets.answer = { status: 200, body: '{"firecracker_version":"1.12.1"}' };
    assert.equal(await client.firecrackerVersion(), "1.12.1");
  });

  it("has a deadline of the operation's own, unless the caller has another", async () => {
    const sockets = new FakeSockets();
    const client = sockets.client();
    await client.pause();
    await client.createSnapshot({ snapshot_path: "/s", mem_file_path: "/m" });
    await client.pause({ timeoutMs: 5 });
    assert.deepEqual(
      sockets.requests.map(({ timeoutMs }) => timeoutMs),
      [operations.setState.timeoutMs, operations.createSnapshot.timeoutMs, 5],
    );
    assert.ok(Object.values(operations).every(({ timeoutMs }) => timeoutMs > 0));
  });

  it("is refused by name before it is sent where this release would not understand it", async () => {
    const sockets = new FakeSockets();
    const client = sockets.client(version("1.12.1"));
    const refused: [string, () => Promise<unknown>][] = [
      ["network-mtu", () => client.putNetworkInterface({ iface_id: "eth0", host_dev_name: "tap0", mtu: 1400 })],
      ["pmem", () => client.putPmem({ id: "p", path_on_host: "/p" })],
      ["serial", () => client.putSerial({})],
      ["hotplug-memory", () => client.hotplugMemory.get()],
      ["balloon-hinting", () => client.balloon.hintingStatus()],
      ["device-unplug", () => client.unplug("drive", "a")],
      [
        "vsock-override",
        () =>
          client.loadSnapshot({
            snapshot_path: "/s",
            mem_backend: { backend_type: "File", backend_path: "/m" },
            vsock_override: { uds_path: "/v" },
          }),
      ],
    ];
    for (const [name, call] of refused) {
      const error = await failure(call());
      assert.equal(error.code, "feature-unsupported", name);
      assert.match(error.why, new RegExp(`\\(${name}\\)`));
    }
    assert.deepEqual(sockets.requests, []);
  });

  it("is refused before it is sent where an id would lead elsewhere, or the body is too large", async () => {
    const sockets = new FakeSockets();
    const client = sockets.client();
    for (const id of ["a-b", "../actions", "a/b", "", "a?x"]) {
      const error = await failure(client.putDrive({ drive_id: id, is_root_device: false }));
      assert.deepEqual([error.code, error.fields[0]?.field], ["invalid-argument", "id"], id);
    }
    const large = await failure(client.putMmds({ text: "é".repeat(25_600) }));
    assert.match(large.message, /its body has 51211 bytes, and Firecracker takes 51200/);
    assert.deepEqual(sockets.requests, []);
    await client.putMmds({ text: "a".repeat(51_200 - 11) });
    assert.equal(sockets.requests.length, 1);
  });
});
