import * as z from "zod";
import type { Host } from "../../host/host.ts";
import { messageOf, WarderError } from "../../vm/error.ts";
import type { CniConfig } from "../../vm/network/vm-network.ts";

/** Where networks are configured, and where plugins lie: the specification's own places, and Debian's. */
export interface CniPlaces {
  readonly config: string;
  readonly plugins: readonly string[];
}

export const cniPlaces: CniPlaces = Object.freeze({
  config: "/etc/cni/net.d",
  plugins: Object.freeze(["/opt/cni/bin", "/usr/lib/cni"]),
});

/** A plugin's name is a file's in one of the directories of plugins, and nothing that leads out of it. */
const plugin = z.looseObject({ type: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/) });
const list = z.object({
  cniVersion: z.string().default("0.4.0"),
  name: z.string(),
  plugins: z.array(plugin).min(1).max(16),
});
const single = z.looseObject({ cniVersion: z.string().default("0.4.0"), name: z.string(), type: plugin.shape.type });

/**
 * Finds a network by its name among the files of the CNI configuration, the first in the order of their names.
 *
 * @throws {@link WarderError} `cni-failed` where there is none, or a plugin of it is not installed.
 */
export function readCniConfig(host: Host, name: string, places: CniPlaces = cniPlaces): CniConfig {
  const doing = `looking for the CNI network ${name} in ${places.config}`;
  const found = configsIn(host, places.config).find((config) => config.name === name);
  if (found === undefined) {
    throw new WarderError("cni-failed", {
      doing,
      why: "no file there has a network of this name",
      cure: "Write it: a .conflist as `man cni` or https://www.cni.dev/docs/spec has it",
    });
  }
  for (const { type } of found.plugins) pluginPath(host, type, places);
  return found;
}

/** Where a plugin lies. */
export function pluginPath(host: Host, type: string, places: CniPlaces = cniPlaces): string {
  const paths = places.plugins.map((directory) => `${directory}/${type}`);
  const path = paths.find((each) => host.files.inspectFollowing(each)?.kind === "file");
  if (path !== undefined) return path;
  throw new WarderError("cni-failed", {
    doing: `looking for the CNI plugin ${type}`,
    why: `it is in none of ${places.plugins.join(", ")}`,
    cure: "Install it: Debian has the usual ones in containernetworking-plugins",
  });
}

function configsIn(host: Host, directory: string): CniConfig[] {
  if (host.files.inspectFollowing(directory)?.kind !== "directory") return [];
  return host.files
    .list(directory)
    .filter((name) => /\.(conf|conflist|json)$/.test(name))
    .flatMap((name) => parseCniConfig(host.files.readText(`${directory}/${name}`)) ?? []);
}

/** Reads a file of the CNI configuration; `undefined` where it is none: others' files are not ours to complain about. */
export function parseCniConfig(text: string): CniConfig | undefined {
  const json = parseJson(text);
  const many = list.safeParse(json);
  if (many.success) return many.data;
  const one = single.safeParse(json);
  if (!one.success) return undefined;
  const { cniVersion, name, ...rest } = one.data;
  return { cniVersion, name, plugins: [rest] };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return messageOf(error);
  }
}
