import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isWarderError } from "../vm/error.ts";
import { toJailPath } from "../vm/path.ts";
import { parseVmSpec } from "../vm/spec.ts";
import { configDocument, requireDocument } from "./config-document.ts";
import { parseVersion } from "./version.ts";

const kernel = toJailPath("/kernel");
const oldest = parseVersion("1.12.1");
assert.ok(oldest !== undefined);

describe("configDocument", () => {
  it("holds the sections that Firecracker insists on, drives if there are none too", () => {
    const spec = parseVmSpec({ kernel: "probe", vcpus: 2, memoryMib: 256, bootArgs: "console=ttyS0" });
    assert.deepEqual(configDocument(spec, { kernel, drives: {} }), {
      "boot-source": { kernel_image_path: "/kernel", boot_args: "console=ttyS0" },
      drives: [],
      "machine-config": { vcpu_count: 2, mem_size_mib: 256 },
    });
  });

  it("names files as the jail sees them, never as the host does", () => {
    const spec = parseVmSpec({
      kernel: "/srv/images/vmlinux",
      initrd: "/srv/images/initrd",
      drives: [
        { path: "/srv/images/rootfs.ext4", root: true, readOnly: true },
        { path: "/srv/vm/data.img", id: "data" },
      ],
    });
    const files = {
      kernel,
      initrd: toJailPath("/initrd"),
      drives: { rootfs: toJailPath("/drive-rootfs"), data: toJailPath("/drive-data") },
    };
    const document = configDocument(spec, files);
    assert.equal(document["boot-source"].initrd_path, "/initrd");
    assert.deepEqual(document.drives, [
      { drive_id: "rootfs", path_on_host: "/drive-rootfs", is_root_device: true, is_read_only: true },
      { drive_id: "data", path_on_host: "/drive-data", is_root_device: false, is_read_only: false },
    ]);
    assert.ok(!JSON.stringify(document).includes("/srv/"));
  });

  it("limits a drive as asked, and no other", () => {
    const rateLimit = { bandwidth: { bytesPerSecond: 1_000_000 } };
    const spec = parseVmSpec({
      kernel: "probe",
      drives: [
        { path: "/a", id: "a", rateLimit },
        { path: "/b", id: "b" },
      ],
    });
    const { drives } = configDocument(spec, { kernel, drives: { a: toJailPath("/a"), b: toJailPath("/b") } });
    assert.deepEqual(
      drives.map((drive) => drive.rate_limiter),
      [{ bandwidth: { size: 200_000, refill_time: 200 } }, undefined],
    );
  });

  it("has a section for each further device, under the file's own names", () => {
    const spec = parseVmSpec({ kernel: "probe" });
    const document = configDocument(
      spec,
      { kernel, drives: {} },
      {
        networkInterfaces: [{ iface_id: "eth0", host_dev_name: "tap0" }],
        vsock: { guest_cid: 3, uds_path: "/v.sock" },
        mmds: { network_interfaces: ["eth0"], version: "V2" },
        entropy: {},
        balloon: { amount_mib: 0, deflate_on_oom: true },
        pmem: [],
        hotplugMemory: { total_size_mib: 1024 },
        cpuConfig: {},
      },
    );
    assert.deepEqual(Object.keys(document).slice(3), [
      "network-interfaces",
      "vsock",
      "mmds-config",
      "entropy",
      "balloon",
      "pmem",
      "memory-hotplug",
      "cpu-config",
    ]);
  });

  it("is not made where a drive has no place in the jail", () => {
    const spec = parseVmSpec({ kernel: "probe", drives: [{ path: "/a", id: "a" }] });
    assert.throws(() => configDocument(spec, { kernel, drives: {} }), /drive a has no path inside the jail/);
  });
});

describe("requireDocument", () => {
  const spec = parseVmSpec({ kernel: "probe" });
  const files = { kernel, drives: {} };

  it("lets every release have what all know", () => {
    requireDocument(
      oldest,
      configDocument(spec, files, {
        vsock: { guest_cid: 3, uds_path: "/v" },
        balloon: { amount_mib: 0, deflate_on_oom: true },
      }),
    );
  });

  it("refuses by name what a release does not know", () => {
    const cases = {
      "network-mtu": { networkInterfaces: [{ iface_id: "eth0", host_dev_name: "tap0", mtu: 1400 }] },
      pmem: { pmem: [{ id: "p", path_on_host: "/p" }] },
      "imds-compat": { mmds: { network_interfaces: ["eth0"], imds_compat: true } },
      "balloon-hinting": { balloon: { amount_mib: 0, deflate_on_oom: true, free_page_hinting: true } },
      "hotplug-memory": { hotplugMemory: { total_size_mib: 1024 } },
      "config-cpu-template": { cpuConfig: {} },
    };
    for (const [name, devices] of Object.entries(cases)) {
      assert.throws(
        () => requireDocument(oldest, configDocument(spec, files, devices)),
        (error) => isWarderError(error) && error.code === "feature-unsupported" && error.why.includes(`(${name})`),
        name,
      );
    }
  });
});
