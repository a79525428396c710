import { execFileSync } from "node:child_process";
import * as fs from "node:fs";

/** Everything of VMs' networks. What VMs share stays, and does not count: the guard's rules and the bridges of networks. */
export function networkState() {
  const list = (path: string) => (fs.existsSync(path) ? fs.readdirSync(path).sort() : []);
  const tables = execFileSync("nft", ["list", "tables"], { encoding: "utf8" }).split("\n");
  const set = tables.includes("table inet warder")
    ? execFileSync("nft", ["list", "set", "inet", "warder", "host-ports"], { encoding: "utf8" })
    : "";
  return {
    namespaces: list("/run/netns"),
    devices: list("/sys/class/net").filter((name) => !name.startsWith("wrb-")),
    tables: tables.filter((table) => table.startsWith("table inet warder-")),
    hasPorts: set.includes("wrd-"),
    routes: execFileSync("ip", ["route", "show"], { encoding: "utf8" }),
  };
}
