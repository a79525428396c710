/**
 * Lists of many VMs: `node bench/list.ts [VMS]`, as root, with real binaries. A daemon is opened on so many stored VMs, and
 * asked for all of them, and for a page. Prints the median and the slowest of some calls, each over a warm connection.
 */
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { VmService } from "../gen/vmprovisioner/v1/vm_pb.js";
import { Warder } from "../src/index.ts";
import { DaemonProcess } from "../test/support/rpc/daemon-process.ts";
import { guest, makeBed } from "../test/support/warder-fixture.ts";
import { median } from "./host.ts";

const count = Number(process.argv[2] ?? 1_000);
const ROUNDS = 20;

await using bed = makeBed();
{
  await using warder = await Warder.open(bed.options);
  for (let number = 0; number < count; number++) await warder.create({ id: `vm-${number}`, kernel: guest("idle") });
}
await using daemon = await DaemonProcess.start(bed);
const client = createClient(VmService, createConnectTransport({ baseUrl: daemon.url, httpVersion: "2" }));
for (const pageSize of [100, 1_000]) {
  const times: number[] = [];
  let listed = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    listed = (await client.listVms({ pageSize })).vms.length;
    times.push(performance.now() - began);
  }
  const [middle, most] = [median(times), Math.max(...times)].map((each) => each.toFixed(1));
  console.log(`${listed} of ${count} stored VMs listed in ${middle} ms (median), ${most} ms (slowest, of ${ROUNDS})`);
}
