/** Boots a kernel, shows its console, and says how it ended: `node boot.ts /path/to/vmlinux [/path/to/rootfs.ext4]`. */
import { startFirecracker, vmConfig } from "warder";

const [kernelPath, rootfsPath] = process.argv.slice(2);
if (kernelPath === undefined) throw new Error("usage: boot.ts KERNEL [ROOTFS]");

const config = vmConfig("boot-1", { kernelPath, ...(rootfsPath === undefined ? {} : { rootfsPath }) });

await using vm = await startFirecracker(config, {
  isolation: "strict",
  timeoutMs: 10_000,
  onConsole: (chunk) => process.stdout.write(chunk),
});
console.log(`isolation: ${vm.isolation.level}`);

const { cause, evidence } = await vm.wait();
console.log(`ended: ${cause} (${evidence.join("; ")})`);
