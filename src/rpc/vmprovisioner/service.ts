import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { VmService } from "../../../gen/vmprovisioner/v1/vm_pb.js";
import { WarderError } from "../../vm/error.ts";
import { killLadder, type ShutdownLadder } from "../../vm/shutdown.ts";
import { hostOf, signalOf } from "../call.ts";
import type { VmPort } from "../host-port.ts";
import { pageOf } from "../paging.ts";
import { inWireNames, toSpecInput } from "./create-request.ts";
import { toVmDetails, toVmInfo } from "./info.ts";
import { toWireState } from "./states.ts";

/** metald knows no pages: a caller that asks for none gets all that a host can hold. */
const PAGE_SIZES = { byDefault: 10_000, most: 10_000 };

const TIMEOUT_MAX_SECONDS = 3_600;

/** `vmprovisioner.v1.VmService` over the core. Documented in its `.proto`. */
export const vmprovisionerService: ServiceImpl<typeof VmService> = {
  async createVm(request, context) {
    const input = toSpecInput(request);
    const options = { signal: signalOf(context, "creating a VM") };
    const { record } = await hostOf(context)
      .create(input, options)
      .catch((error: unknown) => {
        throw inWireNames(error);
      });
    return { vmId: record.id, state: toWireState(record.state) };
  },

  async deleteVm({ vmId, force }, context) {
    await find(vmId, context).remove({ force, signal: signalOf(context, `deleting ${vmId}`) });
    return { success: true };
  },

  async bootVm({ vmId }, context) {
    const vm = find(vmId, context);
    await vm.start({ signal: signalOf(context, `booting ${vmId}`) });
    return done(vm);
  },

  async shutdownVm({ vmId, force, timeoutSeconds }, context) {
    const vm = find(vmId, context);
    const ladder = ladderOf(vm, force, timeoutSeconds);
    await vm.stop({ ladder, signal: signalOf(context, `shutting ${vmId} down`) });
    return done(vm);
  },

  async pauseVm({ vmId }, context) {
    const vm = find(vmId, context);
    await vm.pause({ signal: signalOf(context, `pausing ${vmId}`) });
    return done(vm);
  },

  async resumeVm({ vmId }, context) {
    const vm = find(vmId, context);
    await vm.resume({ signal: signalOf(context, `resuming ${vmId}`) });
    return done(vm);
  },

  async rebootVm({ vmId, force }, context) {
    const vm = find(vmId, context);
    await vm.reboot({
      ...(force ? { ladder: killLadder } : {}),
      signal: signalOf(context, `rebooting ${vmId}`),
    });
    return done(vm);
  },

  getVmInfo({ vmId }, context) {
    const { record } = find(vmId, context);
    return toVmDetails(record, hostOf(context).measure(record));
  },

  listVms({ stateFilter, pageSize, pageToken }, context) {
    const wanted = new Set(stateFilter);
    const all = hostOf(context).records();
    const matching = wanted.size === 0 ? all : all.filter(({ state }) => wanted.has(toWireState(state)));
    const fields = { size: "page_size", token: "page_token" };
    const { items, nextToken } = pageOf(matching, { size: pageSize, token: pageToken, fields }, PAGE_SIZES);
    return { vms: items.map(toVmInfo), nextPageToken: nextToken, totalCount: matching.length };
  },
};

function find(vmId: string, context: HandlerContext): VmPort {
  if (vmId !== "") return hostOf(context).get(vmId);
  throw wrong("vm_id", "vm_id is required");
}

function done({ record }: VmPort) {
  return { success: true, state: toWireState(record.state) };
}

/** The VM's own way down, with as long for the guest as the caller says. */
function ladderOf({ record }: VmPort, force: boolean, timeoutSeconds: number): ShutdownLadder {
  if (timeoutSeconds < 0 || timeoutSeconds > TIMEOUT_MAX_SECONDS) {
    throw wrong("timeout_seconds", `must be 0 to ${TIMEOUT_MAX_SECONDS}`);
  }
  if (force) return killLadder;
  if (timeoutSeconds === 0) return record.spec.shutdown;
  return record.spec.shutdown.map((rung, index) => {
    return index === 0 && rung.method !== "sigkill" ? { ...rung, timeoutMs: timeoutSeconds * 1000 } : rung;
  });
}

function wrong(field: string, problem: string): WarderError {
  return new WarderError("invalid-argument", {
    doing: "reading the request",
    why: "one field is wrong",
    fields: [{ field, problem }],
  });
}
