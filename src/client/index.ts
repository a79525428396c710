/** The client of a daemon: `import { WarderClient } from "warder/client"`. Re-exports only. */
export { isWarderError, WarderError } from "../vm/error.ts";
export type { CallOptions } from "./call.ts";
export type { ClientTls, DaemonAddress } from "./transport.ts";
export type { RemoteVm } from "./vm.ts";
export { type MakeOptions, WarderClient } from "./warder-client.ts";
