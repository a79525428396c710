import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RateLimitSchema, RateLimit as WireRateLimit } from "../../gen/warder/v1/vm_pb.js";
import type { RateLimitInput } from "../vm/rate-limit.ts";
import { fromWhole, present, toWhole } from "./values.ts";

/** A limit on a device, for the wire. */
export function toWireRateLimit({ bandwidth, operations }: RateLimitInput): MessageInitShape<typeof RateLimitSchema> {
  return present({
    bandwidth:
      bandwidth === undefined
        ? undefined
        : present({
            bytesPerSecond: toWhole(bandwidth.bytesPerSecond),
            burstBytes: toWhole(bandwidth.burstBytes),
          }),
    operations:
      operations === undefined
        ? undefined
        : present({ perSecond: toWhole(operations.perSecond), burst: toWhole(operations.burst) }),
  });
}

/** A limit on a device, of the wire: not checked yet. */
export function fromWireRateLimit({ bandwidth, operations }: WireRateLimit): RateLimitInput {
  return present({
    bandwidth:
      bandwidth === undefined
        ? undefined
        : present({
            bytesPerSecond: fromWhole(bandwidth.bytesPerSecond),
            burstBytes: fromWhole(bandwidth.burstBytes),
          }),
    operations:
      operations === undefined
        ? undefined
        : present({ perSecond: fromWhole(operations.perSecond), burst: fromWhole(operations.burst) }),
  }) as RateLimitInput;
}
