import { join } from "node:path";
import type { Host } from "../../host/host.ts";
import { type HostPath, toHostPath } from "../../vm/path.ts";

/** What the files of the service depend on. */
export interface ServiceSettings {
  /** The program that the unit starts. */
  readonly program: HostPath;
  /** What it runs besides: Node, and Warder's own code. */
  readonly runs: readonly HostPath[];
  /** Directory of the Node that it runs on, where that is not among those that systemd looks in. */
  readonly nodeDirectory?: HostPath;
  readonly stateDir: HostPath;
  readonly chrootBase: HostPath;
  /** Directory for the daemon's socket; absent where it has none, or it lies where others' files lie too. */
  readonly socketDir?: HostPath;
  /** The configuration file, where it is not the usual one: it is the operator's business then. */
  readonly configFile?: HostPath;
  /** Lines for the usual one. */
  readonly configLines: readonly string[];
}

/** A file of the service. */
export interface ServiceFile {
  readonly path: HostPath;
  readonly text: string;
  /** Made once, and from then on the operator's: neither replaced nor removed. */
  readonly isOperators: boolean;
}

/** The unit's name. */
export const UNIT = "warder.service";

/** Where the unit lies. */
export const UNIT_FILE = `/etc/systemd/system/${UNIT}`;

const CONFIG_FILE = "/etc/warder/warder.toml";

/** First line of what is put in place here, by which it is known again. */
export const MARK = "# Put here by `warder install`, which replaces it; changes belong into a drop-in.";

/** In the order in which they are put in place. */
const places = [
  { template: "sysusers.d/warder.conf", path: "/etc/sysusers.d/warder.conf", adapt: adaptPlaces },
  { template: "tmpfiles.d/warder.conf", path: "/etc/tmpfiles.d/warder.conf", adapt: adaptPlaces },
  { template: "systemd/warder.service", path: UNIT_FILE, adapt: adaptUnit },
  { template: "warder.toml", path: CONFIG_FILE, adapt: adaptConfig },
] as const;

/** Where the systemd of every distribution looks for programs. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

/** The files of the service, out of the ready-to-use ones in `deploy/`, which packagers can take as they are. */
export function serviceFiles(host: Host, settings: ServiceSettings): ServiceFile[] {
  const deploy = join(import.meta.dirname, "../../../deploy");
  return places
    .filter(({ path }) => path !== CONFIG_FILE || settings.configFile === undefined)
    .map(({ template, path, adapt }) => {
      const isOperators = path === CONFIG_FILE;
      const text = adapt(host.files.readText(join(deploy, template)), settings);
      return { path: toHostPath(path), text: isOperators ? text : `${MARK}\n${text}`, isOperators };
    });
}

/** Lines that are given go before what the template says of the same setting. */
function adaptConfig(template: string, { configLines }: ServiceSettings): string {
  const given = new Set(configLines.map(nameIn));
  const kept = template.split("\n").filter((line) => line !== "" && !given.has(nameIn(line)));
  return `${[...kept, ...configLines].join("\n")}\n`;
}

function nameIn(line: string): string {
  return line.split(" =")[0] ?? "";
}

/** Puts this host's places for the usual ones. */
function adaptPlaces(template: string, { stateDir, chrootBase, socketDir }: ServiceSettings): string {
  const lines = template.split("\n").filter((line) => !line.startsWith("d /run/warder ") || socketDir !== undefined);
  return lines
    .join("\n")
    .replaceAll("/srv/jailer", () => field(chrootBase))
    .replaceAll("/var/lib/warder", () => field(stateDir))
    .replaceAll("/run/warder", () => field(socketDir ?? ""));
}

function adaptUnit(template: string, { program, nodeDirectory, configFile }: ServiceSettings): string {
  const words = [program, "serve", ...(configFile === undefined ? [] : ["--config", configFile])];
  const search = nodeDirectory === undefined ? "" : `Environment=${word(`PATH=${nodeDirectory}:${SYSTEM_PATH}`)}\n`;
  return template.replace("ExecStart=/usr/bin/warder serve", () => `${search}ExecStart=${words.map(word).join(" ")}`);
}

/** A word of a unit: `%` and `$` stand for themselves when doubled (systemd.unit(5), systemd.service(5)). */
function word(text: string): string {
  return field(text).replaceAll("$", () => "$$");
}

/** A field of sysusers.d(5) and tmpfiles.d(5). */
function field(text: string): string {
  const plain = text.replaceAll("%", "%%");
  return /^[^\s"'\\]+$/.test(plain) ? plain : `"${plain.replaceAll(/["\\]/g, "\\$&")}"`;
}

/** Whether systemd finds programs of a directory by itself. */
export function isOnSystemPath(directory: string): boolean {
  return [...SYSTEM_PATH.split(":"), "/sbin", "/bin"].includes(directory);
}
