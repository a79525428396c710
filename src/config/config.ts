import * as z from "zod";
import { type FieldProblem, WarderError } from "../vm/error.ts";
import { type HostPath, pathProblem } from "../vm/path.ts";

/** All settings of a host, checked. Read once; nothing else looks at the environment. */
export interface Config {
  readonly stateDir: HostPath;
  readonly chrootBase: HostPath;
  readonly firecracker?: HostPath;
  readonly jailer?: HostPath;
  /** Where `warder setup` keeps what it installs. */
  readonly cacheDir: HostPath;
  /** Take Firecracker releases too that upstream no longer supports. For tests. Default false. */
  readonly allowTestBinaries: boolean;
  /** Directories in which tools are looked for before the system's own. */
  readonly searchPath: string;
  readonly uidRange: { readonly first: number; readonly count: number };
  readonly parentCgroup: string;
  readonly cgroupVersion?: 1 | 2;
  readonly production: boolean;
  readonly consoleLimitBytes: number;
  readonly logLimitBytes: number;
  readonly logLevel: LogLevel;
  /** Whether terminal output may be coloured, if it is a terminal: see https://no-color.org */
  readonly color: boolean;
}

/** Least serious message that is logged. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** Settings that a caller gives itself: they go before the environment. */
export type ConfigOverrides = Partial<
  Omit<Config, "uidRange" | "stateDir" | "chrootBase" | "firecracker" | "jailer" | "cacheDir">
> & {
  readonly stateDir?: string;
  readonly chrootBase?: string;
  readonly firecracker?: string;
  readonly jailer?: string;
  readonly cacheDir?: string;
  readonly uidRange?: { readonly first: number; readonly count: number };
};

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * 500000 to 509999: above what `adduser` gives out for subordinate ids on a usual host, and in a range that systemd's
 * UIDS-GIDS.md calls unused.
 */
const DEFAULT_UID_RANGE = { first: 500_000, count: 10_000 };
const MIB = 1024 * 1024;

const path = z.string().superRefine((value, context) => {
  const problem = pathProblem(value);
  if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
});
const within = (least: number, most: number, problem = `must be ${least} to ${most}`) =>
  z.int(problem).min(least, problem).max(most, problem);
const wholeNumber = (least: number, most: number) =>
  z
    .union([z.number(), z.string().regex(/^\d+$/, "must be a whole number").transform(Number)])
    .pipe(within(least, most));

const RANGE_FORM = "must be the first id, from 1 on, and how many, such as 500000:10000";
const logLevels = ["debug", "info", "warn", "error", "silent"] as const;
const yesOrNo = z.union([z.boolean(), z.stringbool()], "must be true or false");

/** Name of each setting in the environment, and how it is read. */
const settings = {
  stateDir: { variable: "WARDER_STATE_DIR", schema: path },
  chrootBase: { variable: "WARDER_CHROOT_BASE", schema: path },
  firecracker: { variable: "WARDER_FIRECRACKER", schema: path },
  jailer: { variable: "WARDER_JAILER", schema: path },
  cacheDir: { variable: "WARDER_CACHE_DIR", schema: path },
  uidRange: {
    variable: "WARDER_UID_RANGE",
    schema: z
      .union([z.string().transform(parseRange), z.strictObject({ first: z.int(), count: z.int() })])
      .pipe(z.strictObject({ first: within(1, 0xfffffffe, RANGE_FORM), count: within(1, 1_000_000, RANGE_FORM) })),
  },
  parentCgroup: {
    variable: "WARDER_PARENT_CGROUP",
    schema: z
      .string()
      .regex(
        /^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/,
        "must be a relative cgroup path such as jailer or system/jailer",
      ),
  },
  allowTestBinaries: { variable: "WARDER_ALLOW_TEST_BINARIES", schema: yesOrNo },
  cgroupVersion: { variable: "WARDER_CGROUP_VERSION", schema: wholeNumber(1, 2) },
  consoleLimitBytes: { variable: "WARDER_CONSOLE_LIMIT_BYTES", schema: wholeNumber(4096, 1024 * MIB) },
  logLimitBytes: { variable: "WARDER_LOG_LIMIT_BYTES", schema: wholeNumber(4096, 1024 * MIB) },
  logLevel: { variable: "WARDER_LOG_LEVEL", schema: z.enum(logLevels, `must be one of ${logLevels.join(", ")}`) },
} as const;

/**
 * Reads the configuration: overrides before the environment before defaults.
 *
 * @throws {@link WarderError} `invalid-config` with every wrong setting; a bad setting never becomes a default.
 */
export function loadConfig(overrides: ConfigOverrides = {}, environment: Environment = process.env): Config {
  const problems: FieldProblem[] = [];
  const read: Record<string, unknown> = {};
  for (const [name, { variable, schema }] of Object.entries(settings)) {
    const given = (overrides as Record<string, unknown>)[name];
    const value = given ?? emptyAsUnset(environment[variable]);
    if (value === undefined) continue;
    const parsed = schema.safeParse(value);
    if (parsed.success) read[name] = parsed.data;
    else
      problems.push({
        field: given === undefined ? variable : name,
        problem: `${parsed.error.issues[0]?.message ?? "is wrong"}, not ${JSON.stringify(value)}`,
      });
  }
  if (problems.length > 0) {
    throw new WarderError("invalid-config", {
      doing: "reading the configuration",
      why: problems.length === 1 ? "one setting is wrong" : `${problems.length} settings are wrong`,
      fields: problems,
    });
  }
  return Object.freeze({ ...defaults(environment), ...read, ...ambient(overrides, environment) }) as Config;
}

/** Where a setting's value comes from: a flag, or another override of the caller's; the environment; or nowhere. */
export type SettingOrigin = "flag" | "environment" | "default";

/** Where each setting that has a variable in the environment gets its value from, and that variable's name. */
export function settingOrigins(
  overrides: ConfigOverrides = {},
  environment: Environment = process.env,
): { readonly name: keyof typeof settings; readonly variable: string; readonly origin: SettingOrigin }[] {
  const names = Object.keys(settings) as (keyof typeof settings)[];
  return names.map((name) => {
    const { variable } = settings[name];
    const isSet = emptyAsUnset(environment[variable]) !== undefined;
    const origin = overrides[name] !== undefined ? "flag" : isSet ? "environment" : "default";
    return { name, variable, origin };
  });
}

function defaults(environment: Environment) {
  return {
    stateDir: "/var/lib/warder",
    chrootBase: "/srv/jailer",
    cacheDir: `${emptyAsUnset(environment.XDG_CACHE_HOME) ?? `${emptyAsUnset(environment.HOME) ?? "/root"}/.cache`}/warder`,
    uidRange: DEFAULT_UID_RANGE,
    parentCgroup: "jailer",
    consoleLimitBytes: 4 * MIB,
    logLimitBytes: MIB,
    logLevel: "info",
    allowTestBinaries: false,
  };
}

/** What is not Warder's own to name. */
function ambient(overrides: ConfigOverrides, environment: Environment) {
  const isProduction = environment.NODE_ENV === "production" || environment.WARDER_ENV === "production";
  return {
    // A caller may ask for production's rules outside it, never for laxer ones inside it.
    production: isProduction || overrides.production === true,
    searchPath: overrides.searchPath ?? environment.PATH ?? "",
    color: overrides.color ?? emptyAsUnset(environment.NO_COLOR) === undefined,
  };
}

function emptyAsUnset(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

/** `500000:10000`: first and count. What is not of that form is left for the schema to refuse. */
function parseRange(text: string): { first: number; count: number } {
  const [, first, count] = /^(\d+):(\d+)$/.exec(text) ?? [];
  return { first: Number(first ?? Number.NaN), count: Number(count ?? Number.NaN) };
}
