import type { FieldProblem } from "../vm/error.ts";
import type { SettingValues } from "./catalogue.ts";
import { isLoopback } from "./form.ts";

/** Values that are right each by itself, with what is known beside them. */
export interface Together {
  readonly values: SettingValues;
  readonly isProduction: boolean;
  /** Settings whose value was refused: what depends on them can not be judged. */
  readonly isWrong: (path: string) => boolean;
  /** What a message calls a setting. */
  readonly field: (path: string) => string;
}

interface Rule {
  /** Settings that it looks at; the first is the one to change where they do not go together. */
  readonly of: readonly [string, ...string[]];
  /** Says what is wrong with the first. */
  readonly check: (values: SettingValues, isProduction: boolean) => string | false;
}

const rules: readonly Rule[] = [
  {
    of: ["jail.enabled"],
    check: ({ jail }, isProduction) =>
      isProduction && !jail.enabled && "must be true: this is production, where every VM is jailed",
  },
  {
    of: ["isolation"],
    check: ({ isolation }, isProduction) =>
      isProduction && isolation !== "strict" && "must be strict: this is production",
  },
  {
    of: ["isolation", "jail.enabled"],
    check: ({ isolation, jail }, isProduction) =>
      !isProduction &&
      !jail.enabled &&
      isolation === "strict" &&
      "must be degrade where jail.enabled is false: strict refuses VMs without a jail",
  },
  {
    of: ["jail.gid", "jail.uid"],
    check: ({ jail }) => jail.gid !== undefined && jail.uid === undefined && "needs jail.uid",
  },
  {
    of: ["server.address", "server.tcp", "tls.mode", "tls.certFile"],
    check: ({ server, tls }) =>
      server.tcp &&
      !isLoopback(server.address) &&
      tls.mode !== "file" &&
      "can be reached by others, so it needs TLS: set tls.cert_file and tls.key_file, or use 127.0.0.1",
  },
  {
    of: ["tls.mode", "tls.certFile"],
    check: ({ tls }) => tls.mode === "file" && tls.certFile === undefined && "needs tls.cert_file",
  },
  {
    of: ["tls.certFile", "tls.keyFile"],
    check: ({ tls }) => tls.certFile !== undefined && tls.keyFile === undefined && "needs tls.key_file",
  },
  {
    of: ["tls.keyFile", "tls.certFile"],
    check: ({ tls }) => tls.keyFile !== undefined && tls.certFile === undefined && "needs tls.cert_file",
  },
  {
    of: ["tls.clientCaFile", "tls.certFile"],
    check: ({ tls }) => tls.clientCaFile !== undefined && tls.certFile === undefined && "needs tls.cert_file",
  },
  {
    of: ["tls.requireClientCertificate", "tls.clientCaFile"],
    check: ({ tls }) => tls.requireClientCertificate && tls.clientCaFile === undefined && "needs tls.client_ca_file",
  },
  {
    of: ["server.tcp", "server.socket"],
    check: ({ server }) =>
      !server.tcp && server.socket === "none" && "must be true where server.socket is none: there would be no door",
  },
  {
    of: ["metrics.port", "server.port", "server.tcp", "metrics.enabled"],
    check: ({ server, metrics }) =>
      server.tcp && metrics.enabled && server.port === metrics.port && server.port !== 0 && "is server.port as well",
  },
  {
    of: ["server.requestBurst", "server.requestsPerSecond"],
    check: ({ server }) =>
      server.requestBurst < server.requestsPerSecond && "must be at least server.requests_per_second",
  },
];

/** What is wrong with settings that are right each by itself. */
export function relationProblems({ values, isProduction, isWrong, field }: Together): FieldProblem[] {
  return rules.flatMap(({ of, check }) => {
    const problem = !of.some(isWrong) && check(values, isProduction);
    return problem === false ? [] : [{ field: field(of[0]), problem }];
  });
}

/** What is allowed, and still ought to be known. */
export function relationNotices({ values, isProduction, field }: Together): string[] {
  const { jail, metrics, admission } = values;
  const notices: string[] = [];
  const note = (path: string, notice: string) => notices.push(`${field(path)}: ${notice}`);
  if (!jail.enabled) note("jail.enabled", "VMs run WITHOUT a jail, which is for development and testing only");
  if (jail.uid !== undefined)
    note("jail.uid", `all VMs share the user id ${jail.uid}; unset, each has one of its own, which keeps them apart`);
  if (metrics.enabled && !isLoopback(metrics.address))
    note("metrics.address", `whoever reaches ${metrics.address}:${metrics.port} can read the metrics`);
  if (isProduction && admission.cpuOvercommit > 1)
    note("admission.cpuOvercommit", `${admission.cpuOvercommit} vCPUs to a processor overcommit it`);
  return notices;
}
