import type { HostPath } from "../vm/path.ts";
import type { SettingValues } from "./catalogue.ts";

/**
 * All settings of a host, checked. Read once; nothing else looks at the environment. What each means, takes and is by
 * default stands in docs/configuration.md, which is made of the same tables.
 */
export type Config = SettingValues & {
  /** Whether laxer rules than those of production are refused, whoever asks for them. */
  readonly production: boolean;
  /** Directories in which tools are looked for before the system's own. */
  readonly searchPath: string;
  /** Whether terminal output may be coloured, if it is a terminal: see https://no-color.org */
  readonly color: boolean;
  /** The configuration file that was read. */
  readonly configFile?: HostPath;
};
