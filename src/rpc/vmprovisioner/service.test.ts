import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, toJson } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { VmConfigSchema, VmState } from "../../../gen/vmprovisioner/v1/vm_pb.js";
import { ErrorInfoSchema } from "../../../gen/warder/v1/error_pb.js";
import { FakeHost } from "../../../test/support/rpc/fake-host.ts";
import { metaldClient, serveInMemory } from "../../../test/support/rpc/in-memory.ts";
import { metaldConfig } from "../../../test/support/rpc/requests.ts";

function open() {
  const host = new FakeHost();
  const { transport, failures } = serveInMemory(host);
  return { host, metald: metaldClient(transport), failures };
}

async function refusal(call: Promise<unknown>) {
  const error = await call.then(() => assert.fail("it was not refused"), ConnectError.from);
  const [info] = error.findDetails(ErrorInfoSchema);
  return { code: Code[error.code], info, message: error.rawMessage };
}

describe("the life of a VM, call by call", () => {
  test("tells the states that metald tells", async () => {
    const { metald } = open();
    const created = await metald.createVm({ config: metaldConfig });
    assert.match(created.vmId, /^vm-\d+$/);
    assert.equal(created.state, VmState.CREATED);
    const { vmId } = created;
    const states = [
      await metald.bootVm({ vmId }),
      await metald.pauseVm({ vmId }),
      await metald.resumeVm({ vmId }),
      await metald.rebootVm({ vmId }),
      await metald.shutdownVm({ vmId }),
    ].map(({ success, state }) => [success, VmState[state]]);
    assert.deepEqual(states, [
      [true, "RUNNING"],
      [true, "PAUSED"],
      [true, "RUNNING"],
      [true, "RUNNING"],
      [true, "SHUTDOWN"],
    ]);
    assert.equal((await metald.deleteVm({ vmId })).success, true);
    assert.equal((await refusal(metald.getVmInfo({ vmId }))).code, "NotFound");
  });

  test("a VM that was shut down boots again", async () => {
    const { metald } = open();
    const { vmId } = await metald.createVm({ config: metaldConfig });
    await metald.bootVm({ vmId });
    await metald.shutdownVm({ vmId });
    assert.equal((await metald.bootVm({ vmId })).state, VmState.RUNNING);
  });

  test("a move that its state does not allow says which state that is", async () => {
    const { metald } = open();
    const { vmId } = await metald.createVm({ config: metaldConfig });
    const { code, info } = await refusal(metald.pauseVm({ vmId }));
    assert.equal(code, "FailedPrecondition");
    assert.equal(info?.code, "wrong-state");
    assert.match(info?.why ?? "", /it is created/);
  });

  test("a VM that runs is deleted by force alone", async () => {
    const { metald } = open();
    const { vmId } = await metald.createVm({ config: metaldConfig });
    await metald.bootVm({ vmId });
    assert.equal((await refusal(metald.deleteVm({ vmId }))).code, "FailedPrecondition");
    assert.equal((await metald.deleteVm({ vmId, force: true })).success, true);
  });
});

describe("the id of a VM", () => {
  test("is the caller's where it is given", async () => {
    const { metald } = open();
    assert.equal((await metald.createVm({ vmId: "mine", config: metaldConfig })).vmId, "mine");
    assert.equal((await refusal(metald.createVm({ vmId: "mine", config: metaldConfig }))).code, "AlreadyExists");
  });

  test("is refused where it can not be one, under its name on the wire", async () => {
    const { metald } = open();
    const { code, info } = await refusal(metald.createVm({ vmId: "../x", config: metaldConfig }));
    assert.equal(code, "InvalidArgument");
    assert.deepEqual(
      info?.fields.map(({ field }) => field),
      ["vm_id"],
    );
  });

  test("is asked for by every call that needs one", async () => {
    const { metald } = open();
    const calls = [
      metald.deleteVm({}),
      metald.bootVm({}),
      metald.shutdownVm({}),
      metald.pauseVm({}),
      metald.resumeVm({}),
      metald.rebootVm({}),
      metald.getVmInfo({}),
    ];
    for (const call of calls) {
      const { code, message } = await refusal(call);
      assert.equal(code, "InvalidArgument");
      assert.match(message, /vm_id is required/);
    }
  });
});

describe("a config", () => {
  test("is given back as it was given", async () => {
    const { metald } = open();
    const { vmId } = await metald.createVm({ config: metaldConfig });
    const { config } = await metald.getVmInfo({ vmId });
    assert.ok(config);
    assert.deepEqual(toJson(VmConfigSchema, config), toJson(VmConfigSchema, create(VmConfigSchema, metaldConfig)));
  });

  test("becomes what the core is asked for", async () => {
    const { host, metald } = open();
    const { vmId } = await metald.createVm({ config: metaldConfig, customerId: "acme" });
    const { spec } = host.get(vmId).record;
    assert.equal(spec.kernel, "/opt/vm-assets/vmlinux");
    assert.equal(spec.bootArgs, metaldConfig.boot.kernelArgs);
    assert.equal(spec.vcpus, 2);
    assert.equal(spec.memoryMib, 128);
    assert.deepEqual(spec.labels, metaldConfig.metadata);
    assert.equal(spec.tenant, "acme");
    assert.deepEqual(spec.drives, [
      { id: "root_fs", path: "/opt/vm-assets/rootfs.ext4", readOnly: false, root: true },
      { id: "drive_1", path: "/opt/vm-assets/data.img", readOnly: true, root: false },
    ]);
  });

  test("without a root device has its first disk as one", async () => {
    const { host, metald } = open();
    const storage = [{ path: "/a" }, { path: "/b" }];
    const { vmId } = await metald.createVm({ config: { ...metaldConfig, storage } });
    assert.deepEqual(
      host.get(vmId).record.spec.drives.map(({ root }) => root),
      [true, false],
    );
  });

  test("is refused with everything that is wrong with it, in metald's words where metald has some", async () => {
    const { metald } = open();
    const config = {
      cpu: { vcpuCount: 4, maxVcpuCount: 2 },
      memory: { sizeBytes: 134_217_729n },
      boot: { kernelPath: "vmlinux", kernelArgs: "a\nb" },
      storage: [{ path: "" }, { path: "/x", id: "a/b", interfaceType: "ide" }],
      metadata: { "": "x" },
    };
    const { code, info } = await refusal(metald.createVm({ vmId: "a b", customerId: "/", config }));
    assert.equal(code, "InvalidArgument");
    const problems = Object.fromEntries((info?.fields ?? []).map(({ field, problem }) => [field, problem]));
    assert.equal(problems["config.cpu.max_vcpu_count"], "max_vcpu_count must be greater than or equal to vcpu_count");
    assert.equal(problems["config.memory.size_bytes"], "must be a whole number of MiB, such as 134217728");
    assert.equal(problems["config.boot.kernel_path"], "must be an absolute path");
    assert.equal(problems["config.storage[0].path"], "storage device 0 path is required");
    assert.equal(problems["config.storage[1].interface_type"], "must be virtio-blk or empty");
    for (const field of [
      "vm_id",
      "customer_id",
      "config.boot.kernel_args",
      "config.storage[1].id",
      "config.metadata.",
    ]) {
      assert.ok(problems[field], `${field} is not among ${Object.keys(problems).join(", ")}`);
    }
  });

  test("must have the parts that metald asks for", async () => {
    const { metald } = open();
    const messages = async (request: Parameters<typeof metald.createVm>[0]) =>
      (await refusal(metald.createVm(request))).info?.fields.map(({ problem }) => problem);
    assert.deepEqual(await messages({}), ["vm config is required"]);
    assert.deepEqual(await messages({ config: {} }), [
      "cpu configuration is required",
      "memory configuration is required",
      "boot configuration is required",
      "at least one storage device is required",
    ]);
    assert.deepEqual(await messages({ config: { cpu: {}, memory: {}, boot: {}, storage: [{}] } }), [
      "vcpu_count must be greater than 0",
      "memory size_bytes must be greater than 0",
      "kernel_path is required",
      "storage device 0 path is required",
    ]);
  });

  test("of a VM that was made in another way says what that one was given", async () => {
    const { host, metald } = open();
    await host.create({ id: "other", kernel: "probe", vcpus: 3, memoryMib: 256, labels: { a: "b" } });
    const { config } = await metald.getVmInfo({ vmId: "other" });
    assert.equal(config?.cpu?.vcpuCount, 3);
    assert.equal(config?.memory?.sizeBytes, 268_435_456n);
    assert.equal(config?.boot?.kernelPath, "probe");
    assert.deepEqual(config?.metadata, { a: "b" });
  });
});

describe("all about a VM", () => {
  test("has no metrics while nothing of it runs", async () => {
    const { metald } = open();
    const { vmId } = await metald.createVm({ config: metaldConfig });
    assert.equal((await metald.getVmInfo({ vmId })).metrics, undefined);
  });

  test("has what the kernel counts, and nothing that it does not", async () => {
    const { metald } = open();
    const { vmId } = await metald.createVm({ config: metaldConfig });
    await metald.bootVm({ vmId });
    const { metrics } = await metald.getVmInfo({ vmId });
    assert.equal(metrics?.cpuUsagePercent, 12.5);
    assert.equal(metrics?.memoryUsageBytes, 8_589_934_592n);
    assert.equal(metrics?.uptimeSeconds, 61n);
    assert.equal(metrics?.networkStats, undefined);
    assert.equal(metrics?.storageStats, undefined);
  });

  test("has metald's process record", async () => {
    const { metald } = open();
    const { vmId } = await metald.createVm({ config: metaldConfig });
    const { backendInfo } = await metald.getVmInfo({ vmId });
    assert.equal(backendInfo.use_jailer, "true");
    assert.equal(backendInfo.jailer_id, vmId);
    assert.equal(backendInfo.chroot_path, `/srv/jailer/${vmId}`);
  });
});

describe("ending a VM", () => {
  test("gives the guest as long as the caller says", async () => {
    const { host, metald } = open();
    const { vmId } = await metald.createVm({ config: metaldConfig });
    await metald.bootVm({ vmId });
    const vm = host.get(vmId);
    let ladder: unknown;
    host.get = () => ({
      ...vm,
      record: vm.record,
      async stop(options) {
        ladder = options?.ladder;
        return { endedBy: undefined, rungs: [] };
      },
    });
    await metald.shutdownVm({ vmId, timeoutSeconds: 90 });
    assert.deepEqual(ladder, [
      { method: "ctrl-alt-del", timeoutMs: 90_000 },
      { method: "sigterm", timeoutMs: 5_000 },
      { method: "sigkill", timeoutMs: 10_000 },
    ]);
    await metald.shutdownVm({ vmId, force: true, timeoutSeconds: 90 });
    assert.deepEqual(ladder, [{ method: "sigkill", timeoutMs: 10_000 }]);
  });

  test("refuses a time that is none", async () => {
    const { metald } = open();
    const { vmId } = await metald.createVm({ config: metaldConfig });
    for (const timeoutSeconds of [-1, 3_601]) {
      const { code, info } = await refusal(metald.shutdownVm({ vmId, timeoutSeconds }));
      assert.equal(code, "InvalidArgument");
      assert.equal(info?.fields[0]?.field, "timeout_seconds");
    }
  });
});

describe("the list of VMs", () => {
  test("is filtered by state", async () => {
    const { metald } = open();
    for (const vmId of ["a", "b", "c"]) await metald.createVm({ vmId, config: metaldConfig });
    await metald.bootVm({ vmId: "b" });
    const running = await metald.listVms({ stateFilter: [VmState.RUNNING] });
    assert.deepEqual(
      running.vms.map(({ vmId }) => vmId),
      ["b"],
    );
    assert.equal(running.totalCount, 1);
    assert.equal((await metald.listVms({})).totalCount, 3);
  });

  test("comes in pages that hold although VMs come and go meanwhile", async () => {
    const { host, metald } = open();
    for (const vmId of ["a", "b", "c", "d"]) await metald.createVm({ vmId, config: metaldConfig });
    const first = await metald.listVms({ pageSize: 2 });
    await metald.deleteVm({ vmId: "b" });
    await metald.createVm({ vmId: "e", config: metaldConfig });
    const second = await metald.listVms({ pageSize: 2, pageToken: first.nextPageToken });
    const third = await metald.listVms({ pageSize: 2, pageToken: second.nextPageToken });
    const ids = [first, second, third].map(({ vms }) => vms.map(({ vmId }) => vmId).join(""));
    assert.deepEqual(ids, ["ab", "cd", "e"]);
    assert.equal(third.nextPageToken, "");
    assert.equal(host.records().length, 4);
  });

  test("refuses a page that there can not be", async () => {
    const { metald } = open();
    const { code, info } = await refusal(metald.listVms({ pageSize: -1, pageToken: "nonsense" }));
    assert.equal(code, "InvalidArgument");
    assert.deepEqual(
      info?.fields.map(({ field }) => field),
      ["page_size", "page_token"],
    );
  });

  test("tells of each VM what metald tells", async () => {
    const { host, metald } = open();
    await metald.createVm({ vmId: "a", config: metaldConfig });
    const [vm] = (await metald.listVms({})).vms;
    const { createdAt } = host.get("a").record;
    assert.equal(vm?.vcpuCount, 2);
    assert.equal(vm?.memorySizeBytes, 134_217_728n);
    assert.equal(vm?.createdTimestamp, BigInt(Math.floor(createdAt / 1000)));
    assert.deepEqual(vm?.metadata, metaldConfig.metadata);
    assert.equal(vm?.customerId, "default");
  });
});

describe("what a caller gives up", () => {
  test("is given up in the core, with the reason", async () => {
    const { host, metald } = open();
    const { vmId } = await metald.createVm({ config: metaldConfig });
    const seen = Promise.withResolvers<unknown>();
    host.gate = (_doing, signal) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener("abort", () => {
          seen.resolve(signal.reason);
          reject(signal.reason);
        });
      });
    const { code } = await refusal(metald.bootVm({ vmId }, { timeoutMs: 20 }));
    assert.equal(code, "DeadlineExceeded");
    assert.match(String(await seen.promise), /the caller's deadline passed/);
  });
});

describe("a defect of Warder's own", () => {
  test("is told to the operator, and not to the caller", async () => {
    const { host, metald, failures } = open();
    host.records = () => {
      throw new TypeError("the password is hunter2");
    };
    const { code, info, message } = await refusal(metald.listVms({}));
    assert.equal(code, "Internal");
    assert.equal(info?.code, "internal");
    assert.doesNotMatch(message, /hunter2/);
    assert.match(String(failures[0]?.error), /hunter2/);
  });
});
