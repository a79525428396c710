import { createRequire } from "node:module";

type IpLibrary = typeof import("ipaddr.js");

const require = createRequire(import.meta.url);
let loaded: IpLibrary | undefined;

/** ipaddr.js, loaded at its first use: it takes some milliseconds, and most VMs and commands have no address to read. */
export function ipLibrary(): IpLibrary {
  loaded ??= require("ipaddr.js") as IpLibrary;
  return loaded;
}
