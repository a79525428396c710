import { durationText } from "./form.ts";
import type { SettingEntry } from "./read-setting.ts";

/** A setting's value as a file, a variable or `--set` can give it again; null where there is none. */
export function writable(name: string, value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === "number" && name.endsWith("Ms")) return durationText(value);
  if (Array.isArray(value)) return value.join(",");
  if (typeof value === "object" && value !== null && "first" in value && "count" in value)
    return `${value.first}:${value.count}`;
  return value;
}

/** A setting as a line of the file, without a section above it: `server.port = 9090`. */
export function writableLine({ setting, value }: Pick<SettingEntry, "setting" | "value">): string {
  const written = writable(setting.name, value);
  const table =
    typeof written === "object"
      ? Object.entries(written ?? {})
          .map((pair) => pair.join("="))
          .join(",")
      : written;
  // A string of JSON is one of TOML, which knows all of its escapes.
  return `${setting.key} = ${JSON.stringify(table)}`;
}
