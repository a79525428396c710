import { readFile, writeFile } from "node:fs/promises";
import { Metrics } from "../src/observability/metrics/metrics.ts";
import { leaseKinds } from "../src/store/leases.ts";

/** Writes docs/metrics.md out of the registry that the daemon really has; `--check` only compares. */
const file = "docs/metrics.md";

/** What prom-client has of a metric beside what it declares. */
interface Described {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}

const { registry } = new Metrics({ version: "0", ownProcess: false });
const metrics = registry.getMetricsAsArray() as unknown as readonly Described[];

const row = ({ name, help, type, labelNames }: Described) =>
  `| \`${name}\` | ${type} | ${labelNames.map((label) => `\`${label}\``).join(", ")} | ${help.replaceAll("|", "\\|")} |`;
const table = (rows: readonly Described[]) =>
  ["| metric | type | labels | meaning |", "|---|---|---|---|", ...rows.map(row)].join("\n");

const isOfVm = ({ labelNames }: Described) => labelNames.includes("vm_id");

const text = `# Metrics

Served at \`/metrics\` in Prometheus' text format, measured when they are asked for, at most once a second. Names are
stable: they are added to, never given another meaning. Times are in seconds, sizes in bytes. How to scrape them:
[observability](observability.md); what to be told of: [alerts](alerts.md).

<!-- Made by \`npm run docs:metrics\` out of the registry in src/observability/metrics/. -->

## Of the manager

${table(metrics.filter((metric) => !isOfVm(metric)))}

## Of single VMs

Of VMs with a process, and of those that wait to be started again: the oldest 500; \`warder_vm_series_omitted\` counts the
rest. \`metrics.per_vm = false\` switches them off. The series of a VM go with it. What a metric says "as its Firecracker
says" is written by the process that the guest may have taken over, once a minute: good for graphs, not for bills.

${table(metrics.filter(isOfVm))}

## Labels

| label | values |
|---|---|
| \`operation\` | \`create\`, \`run\`, \`start\`, \`restart\`, \`reboot\`, \`stop\`, \`kill\`, \`pause\`, \`resume\`, \`prove\`, \`remove\` … : 32 at most, then \`other\` |
| \`code\` | of operations and failures: an [error code](errors.md), or \`ok\`; of requests: a status of gRPC, or \`ok\` |
| \`step\` | a step of a start, such as \`launch\`: 64 at most, then \`other\` |
| \`control\` | a control of the isolation proof, such as \`uid\`: 64 at most, then \`other\` |
| \`vm_id\` | the id of a VM |
| \`cause\`, \`level\`, \`state\` | as \`warder inspect\` names them |
| \`service\`, \`method\` | of the daemon's own services; what it does not know is not counted under the caller's words |
| \`kind\` | ${leaseKinds.map((kind) => `\`${kind}\``).join(", ")} |
| \`directory\` | \`state\`, \`jails\` |
| \`result\`, \`phase\`, \`stream\`, \`direction\` | the few that the metric names |

The manager's own process is in \`process_…\` and \`nodejs_…\`, as Prometheus' client for Node names them.
`;

if (!process.argv.includes("--check")) {
  await writeFile(file, text);
} else if ((await readFile(file, "utf8").catch(() => "")) !== text) {
  console.error(`${file} is not what the registry says: run \`npm run docs:metrics\``);
  process.exitCode = 1;
}
