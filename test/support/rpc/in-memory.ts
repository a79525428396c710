import { createClient, createRouterTransport } from "@connectrpc/connect";
import { VmService as MetaldService } from "../../../gen/vmprovisioner/v1/vm_pb.js";
import { hostKey } from "../../../src/rpc/call.ts";
import type { HostPort } from "../../../src/rpc/host-port.ts";
import { type RouteDeps, registerServices, routerOptions } from "../../../src/rpc/routes.ts";

/** Clients of the services on a host, without a socket between them. `defects` is what no caller may ever see. */
export function clientsOf(host: HostPort) {
  const defects: unknown[] = [];
  const deps: RouteDeps = {
    vmDefaults: {},
    maxBodyBytes: 1024 * 1024,
    admit: ({ values }) => void values.set(hostKey, host),
    onDefect: ({ error }) => void defects.push(error),
  };
  const transport = createRouterTransport((router) => registerServices(router, deps), { router: routerOptions(deps) });
  return { metald: createClient(MetaldService, transport), defects };
}
