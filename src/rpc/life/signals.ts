/** What a daemon is asked by signals. */
export interface DaemonSignals extends Disposable {
  /** Fires with the first SIGTERM or SIGINT: end in order. */
  readonly end: AbortSignal;
  /** Fires with the second: end at once. */
  readonly endNow: AbortSignal;
  /** Calls `reread` with each SIGHUP, one after another. */
  onHangUp(reread: () => Promise<void>): void;
}

/** Listens to this process's signals. What listened to them before is asked no more: a hang-up is no end here. */
export function listenToDaemonSignals(): DaemonSignals {
  const end = new AbortController();
  const endNow = new AbortController();
  const onEnd = (signal: NodeJS.Signals) => {
    const next = end.signal.aborted ? endNow : end;
    next.abort(new Error(`told to end by ${signal}`));
  };
  let rereading: Promise<void> = Promise.resolve();
  let reread: (() => Promise<void>) | undefined;
  const onHangUp = () => {
    rereading = rereading.then(() => reread?.());
  };
  const listeners = { SIGTERM: onEnd, SIGINT: onEnd, SIGHUP: onHangUp };
  for (const [signal, listener] of Object.entries(listeners)) process.removeAllListeners(signal).on(signal, listener);
  return {
    end: end.signal,
    endNow: endNow.signal,
    onHangUp(work) {
      reread = work;
    },
    [Symbol.dispose]() {
      for (const [signal, listener] of Object.entries(listeners)) process.off(signal, listener);
    },
  };
}
