import type * as z from "zod";
import { type HostPath, toHostPath } from "../../vm/path.ts";
import { bytes, form, oneOf, path, range, whole, yesOrNo } from "../form.ts";
import { type Environment, variableOf } from "../origin.ts";
import { optional, setting } from "../setting.ts";

const logLevels = ["debug", "info", "warn", "error", "silent"] as const;

const cgroupName = /^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/;

const uids = range("the first id", "500000:10000", 1, 0xffff_fffe);

const outputBytes = bytes(4096, 1024 ** 3);

const daemonAddress = form("local, unix:///path, https://host:port, or http://localhost:port", (given) => {
  if (given === "local") return given;
  if (typeof given !== "string") return undefined;
  if (given.startsWith("unix://")) return path.safeParse(given.slice("unix://".length)).success ? given : undefined;
  return isWebAddress(given) ? given : undefined;
});

/** What all faces of Warder share: where things lie, and what VMs run on. */
export const generalSettings = {
  preset: optional({
    schema: oneOf("development", "production"),
    about:
      "A set of values that go before the defaults. `production` also refuses whatever is not jailed and proven, as NODE_ENV=production and WARDER_ENV=production do, which choose it where no preset is given.",
    fallbackText: "none: the defaults alone",
    reload: "restart",
  }),
  isolation: setting({
    schema: oneOf("strict", "degrade"),
    about:
      "What happens where a control of the jail can not be had: `strict` refuses the start, `degrade` starts and names every gap. Production is always strict.",
    fallback: "strict",
    fallbackText: "strict; degrade where jail.enabled is false",
    presets: { development: "degrade", production: "strict" },
    reload: "new-vms",
  }),
  stateDir: setting({
    schema: path,
    about: "Where VMs are recorded and their output is kept. For root alone (0700).",
    fallback: toHostPath("/var/lib/warder"),
    seed: ["DATA_DIR"],
    reload: "restart",
  }),
  chrootBase: setting({
    schema: path,
    about: "Where jails are made: on a file system without nodev and noexec.",
    fallback: toHostPath("/srv/jailer"),
    seed: ["JAILER_CHROOT_DIR"],
    reload: "restart",
  }),
  firecracker: optional({
    schema: path,
    about: "Firecracker, statically linked.",
    fallbackText: "looked for on PATH, which holds /usr/bin, and in the cache",
    seed: ["FIRECRACKER_BINARY"],
    reload: "restart",
  }),
  jailer: optional({
    schema: path,
    about: "The jailer of the same release.",
    fallbackText: "looked for beside Firecracker, on PATH, which holds /usr/bin, and in the cache",
    seed: ["JAILER_BINARY"],
    reload: "restart",
  }),
  backend: setting({
    schema: oneOf("firecracker"),
    about: "What VMs run on. There is one backend; Cloud Hypervisor, metald's other one, is refused by name.",
    fallback: "firecracker",
    seed: ["BACKEND"],
    reload: "restart",
  }),
  cacheDir: setting({
    schema: path,
    about: "Where `warder setup` keeps what it installs.",
    fallback: toHostPath("/root/.cache/warder"),
    fallbackFrom: cacheDirOf,
    fallbackText: "warder in XDG_CACHE_HOME, else in ~/.cache",
    reload: "restart",
  }),
  uidRange: setting({
    schema: uids,
    about:
      "User ids for jails, of which every VM leases one of its own. The default lies above the subordinate ids that `adduser` gives out on a usual host, where systemd's UIDS-GIDS.md knows of no other use.",
    fallback: { first: 500_000, count: 10_000 },
    reload: "restart",
  }),
  parentCgroup: setting({
    schema: form("a relative cgroup path such as jailer or system/jailer", (given) =>
      typeof given === "string" && cgroupName.test(given) ? given : undefined,
    ),
    about: "The cgroup in which those of all VMs lie, below the mount's root and outside the daemon's own.",
    fallback: "jailer",
    reload: "restart",
  }),
  cgroupVersion: optional({
    schema: whole(1, 2) as z.ZodType<1 | 2>,
    about: "Insists on a version of cgroups.",
    fallbackText: "2 where the host has the needed controllers there, else 1",
    reload: "restart",
  }),
  consoleLimitBytes: setting({
    schema: outputBytes,
    about: "Most of a guest's console that is kept for each VM; the newest counts.",
    fallback: 4 * 1024 ** 2,
    reload: "restart",
  }),
  logLimitBytes: setting({
    schema: outputBytes,
    about: "Most of Firecracker's log that is kept for each VM; the newest counts.",
    fallback: 1024 ** 2,
    reload: "restart",
  }),
  socketDir: setting({
    schema: path,
    about:
      "Where the API sockets of VMs without a jail lie, each as fc-{id}.sock. Jailed ones have theirs in the jail.",
    fallback: toHostPath("/tmp/github.com/unkeyed/unkey/go/deploy/metald/sockets"),
    seed: ["SOCKET_DIR"],
    reload: "new-vms",
  }),
  logLevel: setting({
    schema: oneOf(...logLevels),
    about: "Least serious message that is logged. Commands print warnings only, unless this is set.",
    fallback: "info",
    reload: "now",
  }),
  logFormat: setting({
    schema: oneOf("json", "text"),
    about: "How the daemon logs to standard output: one JSON object a line, or lines for people.",
    fallback: "json",
    presets: { development: "text" },
    reload: "restart",
  }),
  host: optional({
    schema: daemonAddress,
    about:
      "Where commands find VMs: `local` opens the host in the command's own process, anything else is a daemon. Nothing but loopback is talked to in the clear.",
    fallbackText: "the daemon of this state directory, where one answers on server.socket; else local",
    reload: "restart",
  }),
  token: optional({
    schema: path,
    about: "File with the token that commands show to the daemon.",
    fallbackText: "none: the daemon knows local users by themselves",
    isSecret: true,
    reload: "restart",
  }),
  hostCa: optional({
    schema: path,
    about: "Authorities by which commands know the daemon, PEM.",
    fallbackText: "the system's",
    reload: "restart",
  }),
  hostCert: optional({
    schema: path,
    about: "Certificate that commands show to the daemon, PEM.",
    fallbackText: "none",
    reload: "restart",
  }),
  hostKey: optional({
    schema: path,
    about: "Its private key, PEM.",
    fallbackText: "none",
    reload: "restart",
  }),
  allowTestBinaries: setting({
    schema: yesOrNo,
    about: "Take releases of Firecracker too that upstream no longer supports. For tests.",
    fallback: false,
    reload: "restart",
  }),
} as const;

/** Where a user's programs keep what can be made again: https://specifications.freedesktop.org/basedir-spec/ */
function cacheDirOf(environment: Environment): HostPath {
  const home = variableOf(environment, "HOME") ?? "/root";
  return `${variableOf(environment, "XDG_CACHE_HOME") ?? `${home}/.cache`}/warder` as HostPath;
}

/** What is sent in the clear, a token for one, anybody on the way could read. */
function isWebAddress(given: string): boolean {
  if (!URL.canParse(given)) return false;
  const { protocol, hostname, pathname, search, username, hash } = new URL(given);
  const isBare = pathname === "/" && search === "" && username === "" && hash === "";
  const isLoopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
  return isBare && (protocol === "https:" || (protocol === "http:" && isLoopback));
}
