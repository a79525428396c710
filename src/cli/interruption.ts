import { constants } from "node:os";

/** What the user asks of a command that runs: to stop in order, and then to stop at once. */
export interface Interruption {
  /** Fires with the first Ctrl-C, SIGTERM or SIGHUP, and when nobody reads the output any more. */
  readonly signal: AbortSignal;
  /** Fires with the first of those signals alone: for what goes on where nobody reads its output. */
  readonly told: AbortSignal;
  /** Fires with the second. */
  readonly force: AbortSignal;
}

/** Why a command was told to stop. `AbortError` is the name by which the rest of Warder knows it. */
export class Interrupted extends Error {
  override readonly name = "AbortError";
  /** As shells count it: 128 and the signal's number. */
  readonly exitStatus: number;

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.exitStatus = signalStatus(signal);
  }
}

/** The exit status that shells give to an end by a signal. */
export function signalStatus(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** An interruption that is asked for by {@link Interrupter.interrupt}. */
export class Interrupter implements Interruption {
  readonly #soft = new AbortController();
  readonly #told = new AbortController();
  readonly #hard = new AbortController();

  get told(): AbortSignal {
    return this.#told.signal;
  }

  get signal(): AbortSignal {
    return this.#soft.signal;
  }

  get force(): AbortSignal {
    return this.#hard.signal;
  }

  /** Asks once more; false where there is nothing left to ask for. */
  interrupt(signal: NodeJS.Signals): boolean {
    if (signal !== "SIGPIPE") this.#told.abort(new Interrupted(signal));
    const next = this.#soft.signal.aborted ? this.#hard : this.#soft;
    if (next.signal.aborted) return false;
    next.abort(new Interrupted(signal));
    return true;
  }
}

/** An interruption by this process's signals; the third ends the process as if nobody listened. */
export function listenToSignals(): Interruption {
  const interrupter = new Interrupter();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (!interrupter.interrupt(signal)) process.exit(signalStatus(signal));
    });
  }
  // Whoever read the output has gone, or a disk is full: as SIGPIPE would say, which Node ignores. A VM must not lose
  // its manager over it.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (interrupter.signal.aborted) return;
    interrupter.interrupt("SIGPIPE");
    if (error.code === "EPIPE") return;
    process.stderr.write(`warder: writing the output: ${error.message}\n`);
    // Even where everything else was done by then.
    process.once("exit", () => {
      process.exitCode ||= 1;
    });
  });
  // Nobody is left to be told.
  process.stderr.on("error", () => undefined);
  return interrupter;
}
