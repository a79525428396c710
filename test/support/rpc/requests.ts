import type { MessageInitShape } from "@bufbuild/protobuf";
import type { VmConfigSchema } from "../../../gen/vmprovisioner/v1/vm_pb.js";

/** A config that metald takes too. */
export const metaldConfig = {
  cpu: { vcpuCount: 2, maxVcpuCount: 4, topology: { sockets: 1, coresPerSocket: 2, threadsPerCore: 1 } },
  memory: { sizeBytes: 134_217_728n, maxSizeBytes: 268_435_456n, backing: { type: "shared" } },
  boot: {
    kernelPath: "/opt/vm-assets/vmlinux",
    initrdPath: "",
    kernelArgs: "console=ttyS0 reboot=k panic=1 pci=off",
    bootOptions: {},
  },
  storage: [
    { id: "root-fs", path: "/opt/vm-assets/rootfs.ext4", isRootDevice: true, interfaceType: "virtio-blk" },
    { path: "/opt/vm-assets/data.img", readOnly: true, options: { io_engine: "sync" } },
  ],
  console: { enabled: true, output: "/tmp/console.log", consoleType: "serial" },
  metadata: { purpose: "test", "a b": "" },
} satisfies MessageInitShape<typeof VmConfigSchema>;
