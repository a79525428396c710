import type * as z from "zod";
import type { Environment } from "./origin.ts";

/**
 * When a changed value takes effect: `now`, at SIGHUP; for `new-vms` made after a SIGHUP; or at the next `restart`.
 */
export type Reload = "now" | "new-vms" | "restart";

/** Sets of values for a purpose, chosen as a whole. */
export type Preset = "development" | "production";

/** What is known of one setting: the source of reading it, of `warder config`, and of docs/configuration.md. */
export interface Setting<Value = unknown> {
  /** Reads it; its description says what it takes. */
  readonly schema: z.ZodType<Value>;
  /** What it does, and why its default is what it is, in sentences for the documentation. */
  readonly about: string;
  readonly reload: Reload;
  /** Absent: there is no value where none is given. */
  readonly fallback?: Value;
  /** Makes the default of the environment, before {@link fallback}. */
  readonly fallbackFrom?: (environment: Environment) => Value;
  /** What happens without a value, or how the default comes about. */
  readonly fallbackText?: string;
  readonly presets?: Readonly<Partial<Record<Preset, Value>>>;
  /** Names in the environment of metald, each without its `UNKEY_METALD_`. The first is the seed's. */
  readonly seed?: readonly string[];
  /** Never shown, neither by `warder config` nor in a message. */
  readonly isSecret?: true;
  /** Only in the file: too large a thing for one word. */
  readonly isFileOnly?: true;
}

/** A setting that always has a value. */
export interface SettingWithFallback<Value> extends Setting<Value> {
  readonly fallback: Value;
}

/** Settings by their names in the code. */
export type SettingTable = Readonly<Record<string, Setting>>;

type WithFallback<Table extends SettingTable> = {
  [Name in keyof Table]: Table[Name] extends SettingWithFallback<unknown> ? Name : never;
}[keyof Table];

type ValueOf<Each> = Each extends Setting<infer Value> ? Value : never;

/** The values of a table's settings; what has no default may be absent. */
export type ValuesOf<Table extends SettingTable> = {
  readonly [Name in WithFallback<Table>]: ValueOf<Table[Name]>;
} & { readonly [Name in Exclude<keyof Table, WithFallback<Table>>]?: ValueOf<Table[Name]> };

/** What a setting takes is its schema's to say: a default or a preset is one of those values. */
type Facts<Value> = Omit<Setting<Value>, "fallback" | "presets"> & {
  readonly presets?: Readonly<Partial<Record<Preset, NoInfer<Value>>>>;
};

/** Describes a setting that always has a value. */
export function setting<Value>(
  facts: Facts<Value> & { readonly fallback: NoInfer<Value> },
): SettingWithFallback<Value> {
  return Object.freeze(facts);
}

/** Describes a setting that has no value where none is given. */
export function optional<Value>(facts: Setting<Value> & { readonly fallbackText: string }): Setting<Value> {
  return Object.freeze(facts);
}
