import type { ConnectRouter, ConnectRouterOptions } from "@connectrpc/connect";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { VmService as MetaldService } from "../../gen/vmprovisioner/v1/vm_pb.js";
import { AccessService } from "../../gen/warder/v1/access_service_pb.js";
import { HostService } from "../../gen/warder/v1/host_service_pb.js";
import { VmService } from "../../gen/warder/v1/vm_service_pb.js";
import type { TokenStore } from "../access/token-store.ts";
import type { Serving } from "../observability/health/serving.ts";
import { failed, requestInterceptor, toConnectError } from "./failures.ts";
import { enter, type GateDeps, openRequestKey } from "./gate/gate.ts";
import { healthService } from "./health-service.ts";
import { tellUnreadable } from "./unreadable.ts";
import { vmprovisionerService } from "./vmprovisioner/service.ts";
import { accessService } from "./warder/access-service.ts";
import { hostService, type MachinePort } from "./warder/host-service.ts";
import { vmService } from "./warder/vm-service.ts";

/** What services need that are about the whole host. */
export interface ServiceDeps {
  readonly machine: MachinePort;
  readonly tokens: Pick<TokenStore, "create" | "list" | "revoke">;
  readonly serving: Serving;
}

/** Registers every service. */
export function registerServices(router: ConnectRouter, { machine, tokens, serving }: ServiceDeps): void {
  router.service(MetaldService, vmprovisionerService);
  router.service(VmService, vmService);
  router.service(HostService, hostService(machine));
  router.service(AccessService, accessService(tokens));
  router.service(Health, healthService(serving));
}

/** How every service is served: bounded, looked at before it is read, observed, its failures told in one way. */
export function routerOptions(
  gate: GateDeps,
  { maxBodyBytes }: { readonly maxBodyBytes: number },
): ConnectRouterOptions {
  return {
    readMaxBytes: maxBodyBytes,
    interceptors: [requestInterceptor],
    // As connect-go reads JSON: a field that is not known is no error, so that newer clients can talk to this daemon.
    jsonOptions: { ignoreUnknownFields: true },
    requestGate: (context) => {
      tellUnreadable(context);
      try {
        enter(context, gate);
      } catch (reason) {
        const open = context.values.get(openRequestKey);
        throw open === undefined ? toConnectError(reason) : failed(open, reason);
      }
    },
  };
}
