import type { ServiceImpl } from "@connectrpc/connect";
import type { SetRateLimitRequest, VmService } from "../../../gen/warder/v1/vm_service_pb.js";
import type { LimitedDevice } from "../../lifecycle/rate-limits.ts";
import { fromWireJson, toWireJson } from "../../wire/json.ts";
import { fromWireRateLimit } from "../../wire/rate-limit.ts";
import { hostOf, signalOf } from "../call.ts";
import { wrong } from "./requests.ts";

type DeviceCalls = Pick<ServiceImpl<typeof VmService>, "setRateLimit" | "getMetadata" | "setMetadata" | "countDrops">;

/** Calls about what a VM has: disks, interfaces, metadata. */
export const deviceCalls: DeviceCalls = {
  async setRateLimit(request, context) {
    const { id, limit } = request;
    const vm = hostOf(context).get(id);
    const wanted = limit === undefined ? null : fromWireRateLimit(limit);
    await vm.setRateLimit(deviceOf(request), wanted, { signal: signalOf(context, `limiting a device of ${id}`) });
    return {};
  },

  getMetadata({ id }, context) {
    return { data: toWireJson(hostOf(context).get(id).metadata.get()) };
  },

  async setMetadata({ id, data, merge }, context) {
    const { metadata } = hostOf(context).get(id);
    const options = { signal: signalOf(context, `changing the metadata of ${id}`) };
    await (merge ? metadata.patch(fromWireJson(data), options) : metadata.set(fromWireJson(data), options));
    return { data: toWireJson(metadata.get()) };
  },

  async countDrops({ id }, context) {
    const host = hostOf(context);
    const counted = await host.drops(host.get(id).record.id, signalOf(context, `counting what was dropped of ${id}`));
    const drops = counted.map(({ reason, packets, bytes }) => {
      return { reason, packets: BigInt(packets), bytes: BigInt(bytes) };
    });
    return { drops };
  },
};

function deviceOf({ device }: SetRateLimitRequest): LimitedDevice {
  switch (device.case) {
    case "drive":
      return { drive: device.value };
    case "network": {
      const { name, direction } = device.value;
      if (direction !== "rx" && direction !== "tx") throw wrong("network.direction", "must be rx or tx");
      return { network: name, direction };
    }
    default:
      throw wrong("device", "is needed: a drive, or a direction of a network");
  }
}
