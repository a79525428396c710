/** A sandbox of one's own making: 2 CPUs, 512 MB, a network namespace (`ip netns add isolated`). Needs root. */
import assert from "node:assert/strict";
import { defaultJailerConfig, type JailerConfig, startWithJailer } from "warder";

const config: JailerConfig = {
  ...defaultJailerConfig,
  jailerId: "secure-vm-123",
  cpuCount: 2,
  memoryLimitMb: 512,
  netns: "/run/netns/isolated",
};

// At the end of the block the process is killed, and everything of it is gone.
await using vm = await startWithJailer(config);
assert(vm.jailed, "Production requires sandboxing!");
console.log(`Firecracker ${vm.pid} waits on ${vm.apiSocket}`);

for (const { name, wanted, found, ok } of vm.isolation.controls) {
  console.log(`${ok ? "ok " : "GAP"} ${name}: wanted ${wanted}, found ${found}`);
}
