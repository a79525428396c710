import type { SettingEntry } from "./read-setting.ts";

type Lookup = (path: string) => unknown;

/** Defaults that follow from other settings. */
const following: Readonly<Record<string, (look: Lookup) => unknown>> = {
  /** Who switches the jailer off, as the seed's variable does, has said that gaps are taken. */
  isolation: (look) => (look("jail.enabled") === false ? "degrade" : "strict"),
  "jail.gid": (look) => look("jail.uid"),
  "tls.mode": (look) => (look("tls.certFile") === undefined ? "disabled" : "file"),
};

/** The same settings, with the defaults that follow from others. */
export function settle(entries: readonly SettingEntry[]): SettingEntry[] {
  const look: Lookup = (path) => entries.find(({ setting }) => setting.path === path)?.value;
  return entries.map((entry) => {
    const follow = entry.origin === "default" ? following[entry.setting.path] : undefined;
    return follow === undefined ? entry : { ...entry, value: follow(look) };
  });
}
