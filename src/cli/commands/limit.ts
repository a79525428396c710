import type { LimitedDevice } from "../../lifecycle/rate-limits.ts";
import type { VmSpecInput } from "../../vm/spec.ts";
import { type CommandInput, type CommonRequest, defineCommand } from "../command.ts";
import { oneOf, text } from "../flag-parsers.ts";
import { toggle, value } from "../flags.ts";
import type { Interruption } from "../interruption.ts";
import { openManager } from "../manager/open.ts";
import { amountFlag, toRateLimit } from "../rate-flags.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

type RateLimitInput = NonNullable<NonNullable<VmSpecInput["drives"]>[number]["rateLimit"]>;

/** `warder limit`, parsed. */
export interface LimitRequest extends CommonRequest {
  readonly id: string;
  /** One, or both directions of an interface. */
  readonly devices: readonly LimitedDevice[];
  /** Null: no limit. */
  readonly limit: RateLimitInput | null;
}

const flags = {
  drive: value("--drive <id>", text, "the disk; `rootfs` is the root disk"),
  network: value("--network <name>", text, "or the interface, such as eth0"),
  direction: value("--direction <rx|tx>", oneOf("rx", "tx"), "one direction: rx is towards the guest (default: both)"),
  bandwidth: value("--bandwidth <bytes>", amountFlag, "bytes a second, such as 10M"),
  burst: value("--burst <bytes>", amountFlag, "bytes at once after a rest (default: of 200 ms)"),
  ops: value("--ops <n>", amountFlag, "requests a second"),
  opsBurst: value("--ops-burst <n>", amountFlag, "requests at once after a rest (default: of 200 ms)"),
  unlimited: toggle("--unlimited", "take the limit away"),
};

export const limitCommand = defineCommand({
  operands: { name: "ID", count: "one", help: "the VM" },
  flags,
  details:
    "What is given takes the place of all that was limited of the device before. A VM that runs has it at once; it\n" +
    "stays with the VM for its next runs. Firecracker holds the limit.",
  examples: [
    ["warder limit vm-1 --drive rootfs --bandwidth 10M --ops 500", "Slow a disk down"],
    ["warder limit vm-1 --network eth0 --direction tx --bandwidth 1M", "Slow down what a guest sends"],
    ["warder limit vm-1 --drive rootfs --unlimited", "Let it go again"],
  ],
  parse,
  execute: limit,
});

function parse({ flags: given, operands: [id = ""], common, refuse }: CommandInput<typeof flags>): LimitRequest {
  const { drive, network, direction, unlimited, bandwidth, burst, ops, opsBurst } = given;
  if ((drive === undefined) === (network === undefined)) refuse("--drive", "is needed, or --network, and not both");
  if (drive !== undefined && direction !== undefined) refuse("--direction", "has no meaning for a disk");
  const rate = toRateLimit({ bandwidth, burst, ops, "ops-burst": opsBurst });
  if (rate === undefined) refuse("--burst", "has a meaning only beside --bandwidth, and --ops-burst beside --ops");
  const isEmpty = bandwidth === undefined && ops === undefined;
  if (isEmpty !== (unlimited === true)) refuse("--unlimited", "is needed, or --bandwidth or --ops, and not both");
  const directions = direction === undefined ? (["rx", "tx"] as const) : [direction];
  return {
    ...common,
    id,
    devices:
      network === undefined ? [{ drive: drive ?? "" }] : directions.map((each) => ({ network, direction: each })),
    limit: unlimited === true ? null : (rate ?? null),
  };
}

/** Limits a device of a VM. */
export async function limit(
  request: LimitRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  await using manager = await openManager(request, terminal);
  const vm = manager.get(request.id);
  for (const device of request.devices) await vm.setRateLimit(device, request.limit, { signal });
  if (request.json) printJson(terminal, { id: vm.id, devices: request.devices, limit: request.limit });
  else printLine(terminal, vm.id);
  return 0;
}
