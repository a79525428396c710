import { join } from "node:path";
import { type HostPath, toHostPath } from "../vm/path.ts";

/** Guests that come with Warder. */
export type BuiltInGuest = "probe";

/**
 * The kernel image of a built-in guest, of a few KB. It lies in `guests/` beside `src/` in a checkout, and beside
 * `dist/` in the published package. For x86-64 only.
 */
export function builtInGuest(name: BuiltInGuest): HostPath {
  return toHostPath(join(import.meta.dirname, "../../guests", `${name}.elf`));
}
