import type { Vm, VmSpecInput, Warder } from "../../src/index.ts";
import { guest } from "../support/warder-fixture.ts";

/** The VM that each operation is about. */
export const TARGET = "target";

/** The VM that nothing is done to: it must be as it was after every death. */
export const WITNESS = "witness";

const quickLadder = [
  { method: "sigterm", timeoutMs: 2_000 },
  { method: "sigkill", timeoutMs: 2_000 },
] as const;

/** A VM of the given guest under the name of {@link TARGET}. */
export function targetSpec(name: "idle" | "hello"): VmSpecInput {
  return { id: TARGET, kernel: guest(name), bootArgs: "console=ttyS0", shutdown: [...quickLadder] };
}

/** Something a manager does, in the middle of which it dies. */
export interface Operation {
  /** What must be there before. Deaths come later. */
  prepare(warder: Warder): Promise<unknown>;
  /** What is done. Also undefined: the death comes while the manager opens. */
  perform?(warder: Warder): Promise<unknown>;
  /** What may be of the target afterwards, besides nothing. */
  readonly mayLive: boolean;
  /** The VM must run afterwards, as the same run: nothing that was begun may end it. */
  readonly mustLive?: boolean;
  /** The VM must be known afterwards, ended or not: it was there before, and nobody asked for its removal. */
  readonly mustBeKnown?: boolean;
  /** It makes interfaces: only in a network of the harness's own. */
  readonly hasNetworks?: boolean;
}

const running = (warder: Warder) => warder.run(targetSpec("idle"));
const runningWithNetworks = (warder: Warder) =>
  warder.run({
    ...targetSpec("idle"),
    networks: [{ mode: "egress", publish: ["8080:80"] }, "network=blue"],
    vsock: { ports: [{ port: 1024, to: "unix:/run/nobody.sock" }] },
  });
const target = (warder: Warder): Vm => warder.get(TARGET);

async function ended(warder: Warder): Promise<void> {
  const vm = await running(warder);
  await vm.kill();
}

/** All operations that the deaths are spread over. */
export const operations: Readonly<Record<string, Operation>> = {
  start: { prepare: async () => undefined, perform: (warder) => running(warder), mayLive: true },
  "start and end": {
    prepare: async () => undefined,
    perform: async (warder) => (await warder.run(targetSpec("hello"))).wait(),
    mayLive: true,
  },
  stop: { prepare: running, perform: (warder) => target(warder).stop(), mayLive: true, mustBeKnown: true },
  kill: { prepare: running, perform: (warder) => target(warder).kill(), mayLive: true, mustBeKnown: true },
  pause: { prepare: running, perform: (warder) => target(warder).pause(), mayLive: true, mustLive: true },
  resume: {
    prepare: async (warder) => (await running(warder)).pause(),
    perform: (warder) => target(warder).resume(),
    mayLive: true,
    mustLive: true,
  },
  remove: { prepare: ended, perform: (warder) => target(warder).remove(), mayLive: false },
  "remove by force": { prepare: running, perform: (warder) => target(warder).remove({ force: true }), mayLive: true },
  create: {
    prepare: async () => undefined,
    perform: (warder) => warder.create(targetSpec("idle")),
    mayLive: false,
  },
  "start of a created VM": {
    prepare: (warder) => warder.create(targetSpec("idle")),
    perform: (warder) => target(warder).start(),
    mayLive: true,
    mustBeKnown: true,
  },
  open: { prepare: running, mayLive: true, mustLive: true },
  "start with networks": {
    prepare: async () => undefined,
    perform: (warder) => runningWithNetworks(warder),
    mayLive: true,
    hasNetworks: true,
  },
  "remove with networks": {
    prepare: runningWithNetworks,
    perform: (warder) => target(warder).remove({ force: true }),
    mayLive: true,
    hasNetworks: true,
  },
  "open with networks": { prepare: runningWithNetworks, mayLive: true, mustLive: true, hasNetworks: true },
  reboot: { prepare: running, perform: (warder) => target(warder).reboot(), mayLive: true, mustBeKnown: true },
};
