import { PassThrough } from "node:stream";
import { parseRateLimit, withRateLimit } from "../../../src/lifecycle/rate-limits.ts";
import { lastLines } from "../../../src/lifecycle/tail.ts";
import type {
  HostPort,
  MakeOptions,
  MetadataPort,
  OutputKind,
  OutputOptions,
  VmMeasures,
  VmPort,
  VsockPort,
  WatchOptions,
} from "../../../src/rpc/host-port.ts";
import { notFound, taken } from "../../../src/store/store.ts";
import type { VmChange } from "../../../src/vm/change.ts";
import { WarderError } from "../../../src/vm/error.ts";
import type { VmExit } from "../../../src/vm/exit.ts";
import { generateVmId, toVmId, type VmId, vmIdProblem } from "../../../src/vm/id.ts";
import { type JsonObject, mergePatch, parseMetadata } from "../../../src/vm/metadata.ts";
import { toHostPath, toJailPath } from "../../../src/vm/path.ts";
import type { VmRecord } from "../../../src/vm/record.ts";
import { killLadder, type ShutdownMethod } from "../../../src/vm/shutdown.ts";
import { parseVmSpec, type VmSpec, type VmSpecInput } from "../../../src/vm/spec.ts";
import { decide, hasEnded, isLive, type VmRequest, type VmState } from "../../../src/vm/state.ts";
import { toView } from "../../../src/vm/view.ts";

/** A host in memory: the core's rules of states and ids, and no process anywhere. */
export class FakeHost implements HostPort {
  readonly #records = new Map<VmId, VmRecord>();
  readonly #keys = new Map<string, VmId>();
  readonly #changes: VmChange[] = [];
  readonly #wakers = new Set<() => void>();
  readonly consoles = new Map<string, string>();
  readonly #removed = new Set<string>();
  /** How each connection to a guest was asked for. */
  readonly connections: unknown[] = [];
  readonly #metadata = new Map<VmId, JsonObject>();
  #createdAt = 1_700_000_000_000;
  /** What each start, stop … waits for, so that a test can look at the host meanwhile. */
  gate: (doing: string, signal: AbortSignal | undefined) => Promise<void> = async () => undefined;

  async create(input: VmSpecInput, { idempotencyKey, signal }: MakeOptions = {}): Promise<VmPort> {
    const spec = parseVmSpec(input);
    await this.gate("create", signal);
    const known = idempotencyKey === undefined ? undefined : this.#keys.get(idempotencyKey);
    if (known !== undefined) return this.get(known);
    const id = spec.id ?? generateVmId(BigInt(++this.#createdAt) * 1_000_000n);
    const existing = this.#records.get(id);
    if (existing !== undefined && !hasEnded(existing.state)) throw taken(existing);
    this.#records.delete(id);
    this.#store(recordOf(id, spec, ++this.#createdAt), null);
    if (idempotencyKey !== undefined) this.#keys.set(idempotencyKey, id);
    return this.get(id);
  }

  async run(input: VmSpecInput, options: MakeOptions = {}): Promise<VmPort> {
    const vm = await this.create(input, options);
    try {
      await vm.start(options);
    } catch (error) {
      await vm.remove({ force: true });
      throw error;
    }
    return vm;
  }

  get(id: string): VmPort {
    const problem = vmIdProblem(id);
    if (problem !== undefined) {
      throw new WarderError("invalid-argument", {
        doing: "looking up a VM",
        why: "the id is wrong",
        fields: [{ field: "id", problem }],
      });
    }
    if (!this.#records.has(toVmId(id))) throw notFound(id);
    return this.#vm(toVmId(id));
  }

  hasRemoved(id: string): boolean {
    return this.#removed.has(id);
  }

  records(): readonly VmRecord[] {
    return [...this.#records.values()];
  }

  async *watch({ since, id, signal }: WatchOptions): AsyncIterable<VmChange> {
    for (let next = since ?? this.#changes.length; ; ) {
      for (const change of this.#changes.slice(next)) {
        next = change.sequence;
        if (id === undefined || change.id === id) yield change;
      }
      if (signal.aborted) return;
      if (next < this.#changes.length) continue;
      const woken = Promise.withResolvers<void>();
      this.#wakers.add(woken.resolve);
      signal.addEventListener("abort", () => woken.resolve(), { once: true });
      await woken.promise;
      if (signal.aborted) return;
    }
  }

  get cursor(): number {
    return this.#changes.length;
  }

  usage() {
    return { memoryBytes: 1024, cpuMicroseconds: 2000 };
  }

  measure({ state }: VmRecord): VmMeasures | undefined {
    if (!isLive(state)) return undefined;
    return { cpuPercent: 12.5, memoryBytes: 2 ** 33, uptimeMs: 61_999 };
  }

  async *output(id: string, _kind: OutputKind, { tailLines }: OutputOptions): AsyncIterable<Uint8Array> {
    void this.get(id);
    const whole = [Buffer.from(this.consoles.get(id) ?? "")];
    if (tailLines === undefined) yield* whole;
    else yield lastLines(whole, tailLines);
  }

  async drops() {
    return [{ reason: "spoofed" as const, packets: 3, bytes: 180 }];
  }

  /** Ends a VM as its guest would. */
  end(id: string): void {
    this.#move(toVmId(id), "exited", { exit: exitOf("guest-ended") });
  }

  #vm(id: VmId): VmPort {
    const self = this;
    const ask = async (request: VmRequest, to: VmState, more: Partial<VmRecord> = {}, signal?: AbortSignal) => {
      const { state } = self.#record(id);
      const decision = decide(request, state);
      if (decision.verdict === "refuse") {
        throw new WarderError("wrong-state", { doing: `${request} of ${id}`, why: decision.why });
      }
      await self.gate(request, signal);
      if (decision.verdict === "do") self.#move(id, to, more);
    };
    return {
      get record() {
        return self.#record(id);
      },
      inspect: () => toView(self.#record(id)),
      start: ({ signal } = {}) => ask("start", "running", { startedAt: ++self.#createdAt }, signal),
      async stop({ ladder, signal } = {}) {
        const method: ShutdownMethod = ladder?.[0]?.method ?? "ctrl-alt-del";
        const wasLive = isLive(self.#record(id).state);
        await ask("stop", "exited", { exit: exitOf(method === "sigkill" ? "killed" : "stopped") }, signal);
        return { endedBy: wasLive ? method : undefined, rungs: [] };
      },
      kill(options = {}) {
        return this.stop({ ...options, ladder: killLadder });
      },
      pause: ({ signal } = {}) => ask("pause", "paused", {}, signal),
      resume: ({ signal } = {}) => ask("resume", "running", {}, signal),
      reboot: ({ signal } = {}) => ask("reboot", "running", {}, signal),
      async remove({ force } = {}) {
        if (force !== true) await ask("remove", self.#record(id).state);
        const record = self.#records.get(id);
        self.#records.delete(id);
        self.#removed.add(id);
        if (record !== undefined) self.#note(record, "removed", record.state);
      },
      async wait({ signal = new AbortController().signal } = {}) {
        for await (const _change of self.watch({ since: 0, id, signal })) {
          const { exit } = self.#record(id);
          if (exit !== undefined) return exit;
        }
        throw signal.reason;
      },
      async prove() {
        return self.#record(id).isolation ?? { level: "partial", policy: "strict", controls: [], gaps: [] };
      },
      async setRateLimit(device, limit) {
        self.#records.set(id, withRateLimit(self.#record(id), device, parseRateLimit("limiting", limit)));
      },
      get metadata() {
        return self.#metadataOf(id);
      },
      get vsock() {
        return self.#vsockOf(id);
      },
    };
  }

  #metadataOf(id: VmId): MetadataPort {
    void this.#record(id);
    const change = async (input: unknown, toData: (before: JsonObject, given: JsonObject) => JsonObject) => {
      const given = parseMetadata(input);
      if (given === undefined) throw new WarderError("invalid-argument", { doing: "changing", why: "it is no object" });
      this.#metadata.set(id, toData(this.#metadata.get(id) ?? {}, given));
    };
    return {
      get: () => this.#metadata.get(id) ?? {},
      set: (data) => change(data, (_before, given) => given),
      patch: (data) => change(data, (before, given) => mergePatch(before, given) as JsonObject),
    };
  }

  /** A guest that says everything back, and that connects to every port that is opened to it. */
  #vsockOf(id: VmId): VsockPort {
    void this.#record(id);
    return {
      connect: async (port, { signal: _signal, ...options } = {}) => {
        this.connections.push({ port, ...options });
        if (port === 1) throw new WarderError("vsock-refused", { doing: "connecting", why: "nobody listens" });
        return new PassThrough();
      },
      listen: async (port, onConnection) => {
        this.connections.push({ port, listen: true });
        const closed = Promise.withResolvers<void>();
        // A port on which nobody ever calls.
        if (port !== 2) void onConnection(new PassThrough());
        return { closed: closed.promise, close: closed.resolve, [Symbol.dispose]: closed.resolve };
      },
    };
  }

  #record(id: VmId): VmRecord {
    const record = this.#records.get(id);
    if (record === undefined) throw notFound(id);
    return record;
  }

  #move(id: VmId, state: VmState, more: Partial<VmRecord>): void {
    const before = this.#record(id);
    const { exit: _exit, ...kept } = before;
    this.#store({ ...kept, ...more, state, generation: before.generation + 1 }, before.state);
  }

  #store(record: VmRecord, previous: VmState | null): void {
    this.#records.set(record.id, record);
    this.#note(record, record.state, previous);
  }

  #note({ id, generation, incarnation }: VmRecord, state: VmChange["state"], previous: VmState | null): void {
    // As the core: what is no change of state is none.
    if (state === previous) return;
    const sequence = this.#changes.length + 1;
    this.#changes.push({ sequence, id, generation, incarnation, state, previous, at: this.#createdAt });
    for (const wake of this.#wakers) wake();
    this.#wakers.clear();
  }
}

/** A record of a VM that was created, as the core would write it. */
export function recordOf(id: VmId, spec: VmSpec, createdAt: number): VmRecord {
  const base = toHostPath("/srv/jailer");
  const directory = toHostPath(`${base}/firecracker/${id}`);
  return {
    id,
    state: "created",
    generation: 0,
    incarnation: 0,
    createdAt,
    spec,
    binaries: {
      firecracker: toHostPath("/usr/bin/firecracker"),
      jailer: toHostPath("/usr/bin/jailer"),
      version: "1.14.1",
    },
    jailed: spec.jailed,
    uid: 500_000,
    gid: 500_000,
    layout: {
      id,
      base,
      execName: "firecracker",
      directory,
      root: toHostPath(`${directory}/root`),
      io: toHostPath(`${directory}/io`),
      alias: toHostPath(`${base}/${id}`),
      socket: toHostPath(`${directory}/root/run/firecracker.socket`),
      apiSocket: toJailPath("/run/firecracker.socket"),
    },
    timings: {},
    history: [],
  };
}

function exitOf(cause: VmExit["cause"]): VmExit {
  return { code: 0, signal: null, cause, evidence: ["the fake host says so"], at: 1_700_000_001_000 };
}
