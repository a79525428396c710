import type { ConnectRouter, ConnectRouterOptions } from "@connectrpc/connect";
import { VmService as MetaldService } from "../../gen/vmprovisioner/v1/vm_pb.js";
import { failed, requestInterceptor, toConnectError } from "./failures.ts";
import { enter, type GateDeps, openRequestKey } from "./gate/gate.ts";
import { vmprovisionerService } from "./vmprovisioner/service.ts";

/** Registers every service. */
export function registerServices(router: ConnectRouter): void {
  router.service(MetaldService, vmprovisionerService);
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
      try {
        enter(context, gate);
      } catch (reason) {
        const open = context.values.get(openRequestKey);
        throw open === undefined ? toConnectError(reason) : failed(open, reason);
      }
    },
  };
}
