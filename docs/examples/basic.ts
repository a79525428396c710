/** The simplest way: one microVM with everything by default, sandboxed by itself. Needs root. */
import { startFirecracker, stopFirecracker, vmConfig } from "warder";

const config = vmConfig("my-agent-task");

const vm = await startFirecracker(config);
console.log(`VM started: ${vm.pid} (sandboxed: ${vm.isSandboxed})`);

// Use the VM: without a kernel, Firecracker waits for its configuration on vm.socketPath.

await stopFirecracker(vm);
