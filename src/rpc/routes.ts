import type { ConnectRouter, ConnectRouterOptions, HandlerContext } from "@connectrpc/connect";
import { VmService } from "../../gen/vmprovisioner/v1/vm_pb.js";
import type { VmSpecInput } from "../vm/spec.ts";
import { type FailureListener, failureInterceptor, toConnectError } from "./failures.ts";
import { vmprovisionerService } from "./vmprovisioner/service.ts";

/** What all services of a daemon stand on. */
export interface RouteDeps {
  /** What VMs are given where a caller of metald's surface says nothing. */
  readonly vmDefaults: Partial<VmSpecInput>;
  readonly maxBodyBytes: number;
  /** Looks at a caller before anything of its request is read, and gives the call its host. */
  readonly admit: (context: HandlerContext) => void | Promise<void>;
  readonly onDefect: FailureListener;
}

/** Registers every service. */
export function registerServices(router: ConnectRouter, deps: RouteDeps): void {
  router.service(VmService, vmprovisionerService(deps.vmDefaults));
}

/** How every service is served: bounded, looked at before it is read, its failures told in one way. */
export function routerOptions({ maxBodyBytes, admit, onDefect }: RouteDeps): ConnectRouterOptions {
  return {
    readMaxBytes: maxBodyBytes,
    interceptors: [failureInterceptor(onDefect)],
    // As connect-go reads JSON: a field that is not known is no error, so that newer clients can talk to this daemon.
    jsonOptions: { ignoreUnknownFields: true },
    requestGate: async (context) => {
      const procedure = `${context.service.typeName}/${context.method.name}`;
      try {
        await admit(context);
      } catch (reason) {
        throw toConnectError(reason, (error) => onDefect({ procedure, error }));
      }
    },
  };
}
