import type { FirecrackerClient } from "../firecracker/client.ts";
import { notFound } from "../store/store.ts";
import { WarderError } from "../vm/error.ts";
import type { VmExit } from "../vm/exit.ts";
import type { VmId } from "../vm/id.ts";
import type { IsolationReport } from "../vm/isolation.ts";
import type { VmRecord } from "../vm/record.ts";
import { killLadder, type ShutdownLadder, type ShutdownOutcome } from "../vm/shutdown.ts";
import { canTransition, decide, isLive, type VmRequest, type VmState } from "../vm/state.ts";
import { toView, type VmView } from "../vm/view.ts";
import { abortable } from "./abortable.ts";
import { adoptVm, finishRemoval, hasLivingOwner, isStillRunning, settle } from "./adopt.ts";
import { connectApi } from "./api.ts";
import type { Machinery } from "./machinery.ts";
import { outputPaths } from "./output-files.ts";
import { gapFound, proveAgain } from "./prove-again.ts";
import { climbDown } from "./stop.ts";
import type { Supervision } from "./supervision.ts";

/** How long an owner elsewhere may take to notice that its VM has ended, and to remove it. */
const OWNER_TIMEOUT_MS = 15_000;
const LOOK_AGAIN_MS = 10;

/** Gives an operation up. */
export interface Cancellable {
  readonly signal?: AbortSignal;
}

/**
 * One VM, in this process's hands or another's. All calls are idempotent: stopping a stopped VM, resuming a running one
 * and removing a removed one succeed.
 */
export class Vm implements AsyncDisposable {
  readonly id: VmId;
  readonly #machinery: Machinery;
  readonly #supervisions: Map<VmId, Supervision>;

  /** @internal Made by `Warder`. */
  constructor(machinery: Machinery, supervisions: Map<VmId, Supervision>, id: VmId) {
    this.#machinery = machinery;
    this.#supervisions = supervisions;
    this.id = id;
  }

  /** What is recorded of the VM now; of a VM that was removed, nothing is. */
  get record(): VmRecord {
    const record = this.#machinery.store.get(this.id);
    if (record !== undefined) return record;
    throw notFound(this.id);
  }

  get state(): VmState {
    return this.record.state;
  }

  /** What `warder inspect` shows. */
  inspect(): VmView {
    return toView(this.record);
  }

  /** The newest output of the guest's serial port, as far as it is kept. Untrusted. */
  readConsole(): string {
    return this.#readOutput("console");
  }

  /** The newest lines of Firecracker's log. Partly chosen by the guest. */
  readLog(): string {
    return this.#readOutput("log");
  }

  /**
   * Settles when the VM has ended and everything of it is gone.
   *
   * @throws {@link WarderError} `cleanup-failed` where something could not be removed; `aborted`.
   */
  async wait({ signal }: Cancellable = {}): Promise<VmExit> {
    return this.#waitForEnd(signal);
  }

  /** Takes over a VM that nobody looks after: its output is read on, its end seen. False where somebody else does that. */
  lookAfter(): boolean {
    return this.#supervise(this.record) !== undefined;
  }

  /** Ends the VM in order: Ctrl-Alt-Del, SIGTERM, SIGKILL, or the ladder given. */
  async stop(options: Cancellable & { readonly ladder?: ShutdownLadder } = {}): Promise<ShutdownOutcome> {
    const nothing: ShutdownOutcome = { endedBy: undefined, rungs: [] };
    const record = this.record;
    if (!this.#may("stop", record)) return nothing;
    const signal = options.signal ?? new AbortController().signal;
    const ladder = options.ladder ?? record.spec.shutdown;
    const supervision = this.#supervise(record);
    if (supervision !== undefined) return supervision.shutDown(ladder, signal);
    const outcome = await this.#stopForOwner(record, ladder, signal);
    await this.#waitForEnd(AbortSignal.any([signal, AbortSignal.timeout(OWNER_TIMEOUT_MS)]));
    return outcome;
  }

  /** Ends the VM at once. */
  kill(options: Cancellable = {}): Promise<ShutdownOutcome> {
    return this.stop({ ...options, ladder: killLadder });
  }

  /** Stops the guest's time. */
  pause(options: Cancellable = {}): Promise<void> {
    return this.#change("pause", "paused", (client) => client.pause(options));
  }

  /** Lets the guest's time go on. */
  resume(options: Cancellable = {}): Promise<void> {
    return this.#change("resume", "running", (client) => client.resume(options));
  }

  /**
   * Reads the VM's isolation back from the kernel once more. A VM without a kernel is proven in full by this, once its
   * guest was started through the API.
   *
   * @throws {@link WarderError} `wrong-state` where the VM has ended, or was started by another process; `isolation-gap`
   * where the policy is strict: the VM is killed then.
   */
  async prove(options: Cancellable = {}): Promise<IsolationReport> {
    const record = this.record;
    const proof = this.#supervisions.get(this.id)?.proof;
    if (proof === undefined) {
      const why = isLive(record.state) ? "only the process that started it can" : `it is ${record.state}`;
      throw new WarderError("wrong-state", { doing: `proving the isolation of ${this.id} once more`, why });
    }
    const report = await proveAgain(this.#machinery, record, proof, options.signal);
    const isStrict = record.spec.policy === "strict" || this.#machinery.settings.production;
    if (report.level !== "degraded" || !isStrict) return report;
    await this.kill();
    throw gapFound(this.id, report);
  }

  /** Forgets a VM that has ended, with its output. `force` kills it first. */
  async remove(options: Cancellable & { readonly force?: boolean } = {}): Promise<void> {
    const { store, host, settings } = this.#machinery;
    const record = store.get(this.id);
    if (record === undefined) return;
    if (options.force === true && isLive(record.state)) await this.kill(options);
    else this.#may("remove", record);
    // What could not be removed at the VM's end must not be forgotten before it is.
    if (store.ledger(this.id).length > 0) await finishRemoval(this.#machinery, record);
    store.forget(this.id);
    await host.files.removeTree(outputPaths(settings, this.id).directory);
  }

  /** Kills the VM where it still runs, and forgets it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove({ force: true });
  }

  async #change(request: VmRequest, state: VmState, act: (client: FirecrackerClient) => Promise<void>): Promise<void> {
    const record = this.record;
    if (!this.#may(request, record)) return;
    const { host, store } = this.#machinery;
    const client = connectApi(host, record);
    try {
      await act(client);
    } finally {
      client.close();
    }
    store.update(this.id, (current) => (canTransition(current.state, state) ? { ...current, state } : current));
  }

  /** True: do it. False: it is so already. */
  #may(request: VmRequest, record: VmRecord): boolean {
    const decision = decide(request, record.state);
    if (decision.verdict !== "refuse") return decision.verdict === "do";
    throw new WarderError("wrong-state", { doing: `${request} of ${this.id}`, why: decision.why });
  }

  /** The supervision of this VM where it is this process's to have: its own, or of a VM that nobody looks after. */
  #supervise(record: VmRecord): Supervision | undefined {
    const existing = this.#supervisions.get(this.id);
    if (existing !== undefined) return existing;
    if (hasLivingOwner(this.#machinery, record) || !isStillRunning(this.#machinery, record)) return undefined;
    const supervision = adoptVm(this.#machinery, record);
    if (supervision !== undefined) this.#supervisions.set(this.id, supervision);
    return supervision;
  }

  /** Ends the process of a VM that another manager looks after; that manager sees the end and removes the rest. */
  async #stopForOwner(record: VmRecord, ladder: ShutdownLadder, signal: AbortSignal): Promise<ShutdownOutcome> {
    const { host } = this.#machinery;
    const { process } = record;
    if (process === undefined || !isStillRunning(this.#machinery, record)) return { endedBy: undefined, rungs: [] };
    const client = connectApi(host, record);
    const over = new AbortController();
    try {
      const ended = host.processes.waitForEnd(process, over.signal);
      ended.catch(() => undefined);
      return await climbDown(this.#machinery, { record, ended, client }, ladder, signal);
    } finally {
      over.abort();
      client.close();
    }
  }

  /** Waits as its owner, else for its owner; and where the owner goes away meanwhile, in its place. */
  async #waitForEnd(signal: AbortSignal | undefined): Promise<VmExit> {
    for (;;) {
      const { record } = this;
      const supervision = this.#supervise(record);
      if (supervision !== undefined) return abortable(supervision.finished, signal);
      if (record.exit !== undefined && !hasLivingOwner(this.#machinery, record)) return record.exit;
      await settle(this.#machinery, record);
      await this.#machinery.host.clock.sleep(LOOK_AGAIN_MS, signal);
    }
  }

  #readOutput(kind: "console" | "log"): string {
    const { host, settings } = this.#machinery;
    const path = outputPaths(settings, this.id)[kind];
    const limit = kind === "console" ? settings.consoleLimitBytes : settings.logLimitBytes;
    return [`${path}.1`, path]
      .filter((each) => host.files.inspect(each) !== undefined)
      .map((each) => host.files.readText(each, limit))
      .join("");
  }
}
