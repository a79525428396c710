import { harmless } from "./terminal.ts";

/** ` (vm_id=vm-1, gaps=["…"])` */
export function formatDetails(details: Readonly<Record<string, unknown>>): string {
  const shown = Object.entries(details).map(([name, value]) => {
    return `${name}=${harmless(typeof value === "string" ? value : JSON.stringify(value))}`;
  });
  return shown.length === 0 ? "" : ` (${shown.join(", ")})`;
}
