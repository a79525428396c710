import { durationText } from "./form.ts";

/** A setting's value as a file, a variable or `--set` can give it again; null where there is none. */
export function writable(name: string, value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === "number" && name.endsWith("Ms")) return durationText(value);
  if (Array.isArray(value)) return value.join(",");
  if (typeof value === "object" && value !== null && "first" in value && "count" in value)
    return `${value.first}:${value.count}`;
  return value;
}
