import { withContext, withoutContext } from "./call-context.ts";
import { codeOf } from "./logging/failure.ts";
import { BoundedLabel } from "./metrics/bounded-label.ts";
import type { Instruments } from "./metrics/instruments.ts";
import type { Happening, Observer, Work } from "./observer.ts";
import type { SpanFacts, Tracer } from "./tracing/span.ts";

/** More than there are controls and steps today, and few enough for a graph. */
const CONTROLS_AT_MOST = 64;
const STEPS_AT_MOST = 64;
const OPERATIONS_AT_MOST = 32;

/** What the core's work is counted with, and traced by. */
export interface CoreObserverParts {
  readonly instruments: Instruments;
  readonly tracer: Tracer;
  /** Milliseconds on a clock that never jumps. */
  readonly now?: () => number;
}

/** The observer of a daemon: metrics of every operation and step, a span for each, and the VM's id on log lines. */
export function createCoreObserver({
  instruments,
  tracer,
  now = () => performance.now(),
}: CoreObserverParts): Observer {
  const controls = new BoundedLabel(CONTROLS_AT_MOST);
  const steps = new BoundedLabel(STEPS_AT_MOST);
  const operations = new BoundedLabel(OPERATIONS_AT_MOST);
  const measure = (what: Work, work: () => unknown) =>
    what.kind === "operation"
      ? measureOperation(instruments, operations.of(what.name), now, work)
      : measureStep(instruments, { step: steps.of(what.name), phase: what.phase }, now, work);
  return {
    watch: <T>(what: Work, work: () => T | Promise<T>) => {
      const measured = () => tracer.span(spanOf(what), () => measure(what, work) as Promise<T>);
      return what.vmId === undefined ? measured() : withContext({ vmId: what.vmId }, measured);
    },
    tell: (happening) => count(instruments, controls, happening),
    detach: withoutContext,
  };
}

async function measureOperation(
  { operations, operationSeconds, operationsRunning, failures }: Instruments,
  operation: string,
  now: () => number,
  work: () => unknown,
): Promise<unknown> {
  const began = now();
  let code = "ok";
  operationsRunning.inc({ operation });
  try {
    return await work();
  } catch (error) {
    code = codeOf(error);
    failures.inc({ code });
    throw error;
  } finally {
    operationsRunning.dec({ operation });
    operations.inc({ operation, code });
    operationSeconds.observe({ operation }, (now() - began) / 1000);
  }
}

async function measureStep(
  { stepSeconds, stepFailures, undoFailures }: Instruments,
  { step, phase }: { readonly step: string; readonly phase: "run" | "undo" },
  now: () => number,
  work: () => unknown,
): Promise<unknown> {
  const began = now();
  try {
    return await work();
  } catch (error) {
    stepFailures.inc({ step, phase });
    if (phase === "undo") undoFailures.inc();
    throw error;
  } finally {
    if (phase === "run") stepSeconds.observe({ step }, (now() - began) / 1000);
  }
}

function spanOf(what: Work): SpanFacts {
  const vm = what.vmId === undefined ? {} : { "warder.vm.id": what.vmId };
  if (what.kind === "operation") return { name: `warder ${what.name}`, attributes: vm };
  return { name: what.phase === "run" ? what.name : `undo ${what.name}`, attributes: vm };
}

function count(instruments: Instruments, controls: BoundedLabel, happening: Happening): void {
  switch (happening.kind) {
    case "vm-ended":
      instruments.vmExits.inc({ cause: happening.cause });
      if (happening.isToRestart) instruments.vmRestarts.inc();
      break;
    case "isolation-judged":
      instruments.isolationJudged.inc({ level: happening.level });
      for (const gap of happening.gaps) instruments.isolationGaps.inc({ control: controls.of(gap) });
      break;
    case "adoption":
      instruments.adoptions.inc({ result: happening.result });
      break;
    case "background-failure":
      instruments.backgroundFailures.inc();
      instruments.failures.inc({ code: happening.code });
  }
}
