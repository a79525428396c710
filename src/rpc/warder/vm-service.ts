import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { ShutdownRung } from "../../../gen/warder/v1/vm_pb.js";
import { type CreateVmRequest, OutputKind, type VmService } from "../../../gen/warder/v1/vm_service_pb.js";
import { isWarderError, WarderError } from "../../vm/error.ts";
import type { ShutdownLadder, ShutdownOutcome } from "../../vm/shutdown.ts";
import { parseVmSpec, type VmSpecInput } from "../../vm/spec.ts";
import { hasEnded } from "../../vm/state.ts";
import { toView } from "../../vm/view.ts";
import { toWireChange } from "../../wire/change.ts";
import { fromWireLadder, toWireExit, toWireOutcome } from "../../wire/exit.ts";
import { toWireIsolation } from "../../wire/isolation.ts";
import { fromWireSpec } from "../../wire/spec.ts";
import { toWireUsage } from "../../wire/usage.ts";
import { toWireVm } from "../../wire/view.ts";
import { words } from "../../wire/words.ts";
import { hostOf, signalOf } from "../call.ts";
import type { MakeOptions, VmPort } from "../host-port.ts";
import { pageOf } from "../paging.ts";
import { deviceCalls } from "./device-calls.ts";
import { idempotencyOf, wrong } from "./requests.ts";
import { SIGN_OF_LIFE_MS, withSignsOfLife } from "./signs-of-life.ts";
import { streamVsock } from "./vsock-stream.ts";

const PAGE_SIZES = { byDefault: 100, most: 1_000 };
const PAGE_FIELDS = { size: "page_size", token: "page_token" };

/** `warder.v1.VmService` over the core. Documented in its `.proto`. */
export const vmService: ServiceImpl<typeof VmService> = {
  ...deviceCalls,
  streamVsock,

  async createVm(request, context) {
    const vm = await hostOf(context).create(specOf(request), makeOptions(request, context, "creating a VM"));
    return describe(vm);
  },

  async runVm(request, context) {
    const vm = await hostOf(context).run(specOf(request), makeOptions(request, context, "running a VM"));
    if (request.removeWhenEnded) removeWhenEnded(vm);
    return describe(vm);
  },

  async startVm({ id, idempotencyKey }, context) {
    const vm = hostOf(context).get(id);
    await vm.start({ signal: signalOf(context, `starting ${id}`), ...idempotencyOf(idempotencyKey) });
    return describe(vm);
  },

  async stopVm({ id, ladder }, context) {
    const vm = hostOf(context).get(id);
    return ended(vm, await vm.stop({ signal: signalOf(context, `stopping ${id}`), ...ladderOf(ladder) }));
  },

  async killVm({ id }, context) {
    const vm = hostOf(context).get(id);
    return ended(vm, await vm.kill({ signal: signalOf(context, `killing ${id}`) }));
  },

  async pauseVm({ id, force }, context) {
    const vm = hostOf(context).get(id);
    await vm.pause({ force, signal: signalOf(context, `pausing ${id}`) });
    return describe(vm);
  },

  async resumeVm({ id }, context) {
    const vm = hostOf(context).get(id);
    await vm.resume({ signal: signalOf(context, `resuming ${id}`) });
    return describe(vm);
  },

  async rebootVm({ id, ladder }, context) {
    const vm = hostOf(context).get(id);
    await vm.reboot({ signal: signalOf(context, `rebooting ${id}`), ...ladderOf(ladder) });
    return describe(vm);
  },

  async removeVm({ id, force }, context) {
    const host = hostOf(context);
    try {
      await host.get(id).remove({ force, signal: signalOf(context, `removing ${id}`) });
    } catch (error) {
      // It is as it was asked for.
      const isGone = isWarderError(error) && error.code === "vm-not-found" && host.hasRemoved(id);
      if (!isGone) throw error;
    }
    return {};
  },

  getVm({ id }, context) {
    return describe(hostOf(context).get(id));
  },

  listVms({ all, states, pageSize, pageToken, tenant }, context) {
    const host = hostOf(context);
    const wanted = new Set(states);
    // Before the records are read: a change in between is told twice rather than never.
    const sequence = BigInt(host.cursor);
    const matching = host.records().filter(({ state, spec }) => {
      const isWanted = wanted.size === 0 ? all || !hasEnded(state) : wanted.has(words.state.toWire(state));
      return isWanted && (tenant === "" || tenant === spec.tenant);
    });
    const { items, nextToken } = pageOf(
      matching,
      { size: pageSize, token: pageToken, fields: PAGE_FIELDS },
      PAGE_SIZES,
    );
    return { vms: items.map((record) => toWireVm(toView(record))), nextPageToken: nextToken, sequence };
  },

  async waitVm({ id }, context) {
    return {
      exit: toWireExit(
        await hostOf(context)
          .get(id)
          .wait({ signal: signalOf(context, `waiting for ${id}`) }),
      ),
    };
  },

  async proveVm({ id }, context) {
    const report = await hostOf(context)
      .get(id)
      .prove({ signal: signalOf(context, `proving ${id}`) });
    return { isolation: toWireIsolation(report) };
  },

  getUsage({ id }, context) {
    const host = hostOf(context);
    return { usage: toWireUsage(host.usage(host.get(id).record)) };
  },

  async *watchVms({ since, id }, context) {
    const changes = hostOf(context).watch({
      ...(since === undefined ? {} : { since: Number(since) }),
      ...(id === "" ? {} : { id }),
      signal: signalOf(context, "watching VMs"),
    });
    for await (const change of withSignsOfLife(changes, SIGN_OF_LIFE_MS)) {
      yield change === undefined ? {} : { change: toWireChange(change) };
    }
  },

  async *streamOutput({ id, kind, follow, tailLines }, context) {
    const output = hostOf(context).output(id, kind === OutputKind.LOG ? "log" : "console", {
      follow,
      signal: signalOf(context, `reading the output of ${id}`),
      ...(tailLines === undefined ? {} : { tailLines }),
    });
    for await (const data of withSignsOfLife(output, SIGN_OF_LIFE_MS)) yield data === undefined ? {} : { data };
  },
};

function describe(vm: VmPort) {
  return { vm: toWireVm(vm.inspect()) };
}

/** Whoever asked for it does not wait. Where the daemon ends first, the VM goes on and is kept. */
function removeWhenEnded(vm: VmPort): void {
  vm.wait()
    .then(() => vm.remove())
    .catch(() => undefined);
}

function ended({ record }: VmPort, outcome: ShutdownOutcome) {
  return { ...toWireOutcome(outcome), ...(record.exit === undefined ? {} : { exit: toWireExit(record.exit) }) };
}

function specOf({ spec, tenant }: Pick<CreateVmRequest, "spec" | "tenant">): VmSpecInput {
  if (spec === undefined) throw wrong("spec", "is needed");
  return { ...fromWireSpec(spec), ...(tenant === "" ? {} : { tenant }) };
}

function makeOptions(
  { idempotencyKey }: { readonly idempotencyKey: string },
  context: HandlerContext,
  doing: string,
): MakeOptions {
  return { signal: signalOf(context, doing), ...idempotencyOf(idempotencyKey) };
}

/** A way down as a caller gives it, held to the rules for a VM's own; nothing where none is given. */
function ladderOf(rungs: readonly ShutdownRung[]): { readonly ladder?: ShutdownLadder } {
  if (rungs.length === 0) return {};
  const shutdown = fromWireLadder(rungs);
  try {
    return { ladder: parseVmSpec({ kernel: "probe", shutdown }).shutdown };
  } catch (error) {
    if (!isWarderError(error)) throw error;
    const { doing, why, fields } = error;
    const own = fields.map(({ field, problem }) => ({ field: field.replace(/^shutdown/, "ladder"), problem }));
    throw new WarderError(error.code, { doing, why, fields: own });
  }
}
