import type { ConfigOverrides } from "../config/config.ts";
import { oneOf, path, setting, text, uidRange, whole } from "./flag-parsers.ts";
import { type FlagValues, grouped, list, toggle, value } from "./flags.ts";

/** Flags of every command. Those of settings are called as the settings are. */
export const globalFlags = grouped("Options of every command:", {
  json: toggle("--json", "print JSON: one document, or one a line where there are several"),
  host: value(
    "--host <address>",
    text,
    "local, or a daemon: unix:///path, https://… (WARDER_HOST; the daemon here if one answers, else local)",
  ),
  token: value("--token <file>", path, "file with the token for the daemon (WARDER_TOKEN)"),
  hostCa: value("--host-ca <file>", path, "authorities that the daemon is known by (WARDER_HOST_CA, the system's)"),
  hostCert: value("--host-cert <file>", path, "certificate to show to the daemon (WARDER_HOST_CERT)"),
  hostKey: value("--host-key <file>", path, "its key (WARDER_HOST_KEY)"),
  stateDir: value("--state-dir <dir>", path, "where VMs are recorded (WARDER_STATE_DIR, /var/lib/warder)"),
  chrootBase: value("--chroot-base <dir>", path, "where jails are made (WARDER_CHROOT_BASE, /srv/jailer)"),
  configFile: value("--config <file>", path, "settings (WARDER_CONFIG, /etc/warder/warder.toml where it is there)"),
  preset: value(
    "--preset <name>",
    oneOf("development", "production"),
    "values to begin from, development or production (WARDER_PRESET)",
  ),
  set: list("--set <setting=value>", setting, "any setting by its name in the file, as `warder config` lists them"),
  firecracker: value("--firecracker <file>", path, "Firecracker to use (WARDER_FIRECRACKER, else it is looked for)"),
  jailer: value("--jailer <file>", path, "jailer to use (WARDER_JAILER, else it is looked for)"),
  uidRange: value("--uid-range <first:count>", uidRange, "user ids for jails (WARDER_UID_RANGE, 500000:10000)"),
  cgroupVersion: value("--cgroup-version <1|2>", whole, "insist on a cgroup version (WARDER_CGROUP_VERSION)"),
  logLevel: value(
    "--log-level <level>",
    oneOf("debug", "info", "warn", "error", "silent"),
    "least serious message that is printed (WARDER_LOG_LEVEL, warn)",
  ),
  noColor: toggle("--no-color", "print without colours (also NO_COLOR)"),
});

/** The settings among the global flags. */
export function toOverrides(flags: FlagValues<typeof globalFlags>): ConfigOverrides {
  const { json: _json, noColor, cgroupVersion, set, ...settings } = flags;
  return {
    ...settings,
    ...(set === undefined ? {} : { set: Object.fromEntries(set) }),
    // Whether there is such a version is the configuration's to say, together with what else is wrong.
    ...(cgroupVersion === undefined ? {} : { cgroupVersion: cgroupVersion as 1 | 2 }),
    ...(noColor === true ? { color: false } : {}),
  };
}
