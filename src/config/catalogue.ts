import type { Setting, SettingTable, ValuesOf } from "./setting.ts";
import { admissionSettings, networkSettings, quotaSettings } from "./settings/capacity.ts";
import { generalSettings } from "./settings/general.ts";
import { serverSettings, tlsSettings } from "./settings/server.ts";
import { healthSettings, metricsSettings, tracingSettings } from "./settings/telemetry.ts";
import { jailSettings, retentionSettings, shutdownSettings, vmSettings } from "./settings/vms.ts";

/** Settings by the table of the file in which they stand, in the order of the documentation. */
export const sections = {
  jail: jailSettings,
  vm: vmSettings,
  server: serverSettings,
  tls: tlsSettings,
  quota: quotaSettings,
  admission: admissionSettings,
  retention: retentionSettings,
  shutdown: shutdownSettings,
  network: networkSettings,
  metrics: metricsSettings,
  tracing: tracingSettings,
  health: healthSettings,
} as const;

type Sections = typeof sections;

/** The values of settings without a section. */
export type GeneralValues = ValuesOf<typeof generalSettings>;

/** The values of settings by their sections. */
export type SectionValues = { readonly [Section in keyof Sections]: ValuesOf<Sections[Section]> };

/** The values of all settings. */
export type SettingValues = GeneralValues & SectionValues;

/** A setting with all its names. */
export interface NamedSetting {
  /** Empty for those without a section. */
  readonly section: string;
  /** In the code: `maxBodyBytes`. */
  readonly name: string;
  /** In the code, with its section: `server.maxBodyBytes`. */
  readonly path: string;
  /** In the file: `server.max_body_bytes`. */
  readonly key: string;
  /** In the environment: `WARDER_SERVER_MAX_BODY_BYTES`. */
  readonly variable: string;
  /** Its other names there, after metald's: `WARDER_ADDRESS`. */
  readonly aliases: readonly string[];
  /** metald's own: `UNKEY_METALD_ADDRESS`. */
  readonly seedVariables: readonly string[];
  readonly setting: Setting;
}

/** Every setting, in the order of the documentation. */
export const catalogue: readonly NamedSetting[] = Object.freeze([
  ...nameAll("", generalSettings),
  ...Object.entries(sections).flatMap(([section, table]) => nameAll(section, table)),
]);

function nameAll(section: string, table: SettingTable): NamedSetting[] {
  return Object.entries(table).map(([name, setting]) => {
    const prefix = section === "" ? "" : `${section}.`;
    const key = `${prefix}${snakeCase(name)}`;
    const variable = `WARDER_${key.replaceAll(".", "_").toUpperCase()}`;
    const seed = setting.seed ?? [];
    return Object.freeze({
      section,
      name,
      path: `${prefix}${name}`,
      key,
      variable,
      aliases: seed.map((each) => `WARDER_${each}`).filter((each) => each !== variable),
      seedVariables: seed.map((each) => `UNKEY_METALD_${each}`),
      setting,
    });
  });
}

/** `drainTimeoutMs` → `drain_timeout`: what is written has its unit with it. */
function snakeCase(name: string): string {
  return name.replace(/Ms$/, "").replaceAll(/[A-Z]/g, "_$&").toLowerCase();
}
