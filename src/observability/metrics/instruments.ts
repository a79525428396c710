import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { errorCodes } from "../../vm/error-codes.ts";
import { exitCauses } from "../../vm/exit.ts";
import { adoptionResults } from "../observer.ts";

/** Seconds. From a start's quickest step to an operation that meets its deadline. */
const OPERATION_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const STEP_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30];

/** Everything that is counted as it happens. Labels have values of closed sets only: see `docs/metrics.md`. */
export function createInstruments(registry: Registry) {
  const instruments = makeInstruments(registry);
  // A series that begins with its first event hides it from `increase()`: what alerts look at is there from the start.
  for (const code of Object.keys(errorCodes)) instruments.failures.inc({ code }, 0);
  for (const cause of exitCauses) instruments.vmExits.inc({ cause }, 0);
  for (const result of adoptionResults) instruments.adoptions.inc({ result }, 0);
  return instruments;
}

function makeInstruments(registry: Registry) {
  const { counter, gauge, histogram } = makers(registry);
  return {
    build: gauge("warder_build_info", "1, with the versions of Warder and Node as labels.", ["version", "node"]),
    operations: counter(
      "warder_operations_total",
      "Operations on VMs that have ended, by what was asked and by error code (`ok` for success).",
      ["operation", "code"],
    ),
    failures: counter(
      "warder_failures_total",
      "Failures of operations, of measurements and of work that no caller waits for, by error code.",
      ["code"],
    ),
    operationSeconds: histogram(
      "warder_operation_duration_seconds",
      "How long operations on VMs took, whatever their outcome.",
      ["operation"],
      OPERATION_BUCKETS,
    ),
    operationsRunning: gauge("warder_operations_in_progress", "Operations on VMs that have not ended.", ["operation"]),
    stepSeconds: histogram(
      "warder_start_step_duration_seconds",
      "How long the steps of starts took.",
      ["step"],
      STEP_BUCKETS,
    ),
    stepFailures: counter(
      "warder_start_step_failures_total",
      "Steps of starts that failed (phase `run`), and that could not be taken back (phase `undo`).",
      ["step", "phase"],
    ),
    undoFailures: counter("warder_undo_failures_total", "Steps of starts that could not be taken back.", []),
    vmExits: counter("warder_vm_exits_total", "VMs that have ended, by cause.", ["cause"]),
    vmRestarts: counter(
      "warder_vm_restarts_total",
      "Ends of VMs that are followed by another start, by their restart policy or for a reboot.",
      [],
    ),
    isolationJudged: counter(
      "warder_isolation_judgements_total",
      "Isolation of VMs that was judged, by what it was found to be.",
      ["level"],
    ),
    isolationGaps: counter(
      "warder_isolation_gaps_total",
      "Controls of VMs that were found not to be as asked, by control.",
      ["control"],
    ),
    adoptions: counter(
      "warder_adoptions_total",
      "VMs that earlier managers left, by what became of them: taken over, or what was left undone of them done.",
      ["result"],
    ),
    backgroundFailures: counter(
      "warder_background_failures_total",
      "Failures of work that no caller waits for, such as the removal of a VM that has ended.",
      [],
    ),
    requests: counter(
      "warder_rpc_requests_total",
      "Requests to the daemon that have been answered, by service, method and status (`ok` for success).",
      ["service", "method", "code"],
    ),
    requestSeconds: histogram(
      "warder_rpc_request_duration_seconds",
      "How long requests to the daemon took; of streams, until their end.",
      ["service", "method"],
      OPERATION_BUCKETS,
    ),
    requestsRunning: gauge("warder_rpc_requests_in_progress", "Requests to the daemon that are not answered.", [
      "service",
      "method",
    ]),
    watchDrops: counter(
      "warder_watch_drops_total",
      "Watchers of VMs' states that were too slow, and have missed changes.",
      [],
    ),
    spansLost: counter(
      "warder_trace_spans_lost_total",
      "Spans that did not reach the collector: it was not reachable, or refused them.",
      [],
    ),
    logLinesDropped: counter(
      "warder_log_lines_dropped_total",
      "Lines of the log that could not be written in time, and are lost.",
      [],
    ),
    collectFailures: counter(
      "warder_collect_failures_total",
      "Times that the host, or a VM, could not be measured for a scrape.",
      [],
    ),
  };
}

/** What {@link createInstruments} makes. */
export type Instruments = ReturnType<typeof createInstruments>;

/** Functions that make metrics of one registry. */
export function makers(registry: Registry) {
  const registers = [registry];
  return {
    counter: <Label extends string>(name: string, help: string, labelNames: Label[]) =>
      new Counter({ name, help, labelNames, registers }),
    gauge: <Label extends string>(name: string, help: string, labelNames: Label[]) =>
      new Gauge({ name, help, labelNames, registers }),
    histogram: <Label extends string>(name: string, help: string, labelNames: Label[], buckets: number[]) =>
      new Histogram({ name, help, labelNames, registers, buckets }),
  };
}
