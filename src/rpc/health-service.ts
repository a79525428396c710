import type { ServiceImpl } from "@connectrpc/connect";
import { type Health, HealthCheckResponse_ServingStatus as Wire } from "../../gen/grpc/health/v1/health_pb.js";
import type { Serving, ServingStatus } from "../observability/health/serving.ts";
import { WarderError } from "../vm/error.ts";
import { signalOf } from "./call.ts";

const statuses: Readonly<Record<ServingStatus, Wire>> = {
  SERVING: Wire.SERVING,
  NOT_SERVING: Wire.NOT_SERVING,
  SERVICE_UNKNOWN: Wire.SERVICE_UNKNOWN,
};

/** gRPC's own health service. Documented in its `.proto`. */
export function healthService(serving: Serving): ServiceImpl<typeof Health> {
  return {
    check({ service }) {
      const status = serving.statusOf(service);
      if (status !== "SERVICE_UNKNOWN") return { status: statuses[status] };
      throw new WarderError("service-unknown", {
        doing: `looking at the service ${JSON.stringify(service)}`,
        why: "this daemon has none of that name",
      });
    },

    async *watch({ service }, context) {
      const signal = signalOf(context, "watching the daemon's health");
      for await (const status of serving.watch(service, signal)) yield { status: statuses[status] };
    },
  };
}
