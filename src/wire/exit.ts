import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  ShutdownRungSchema,
  VmExitSchema,
  VmExit as WireExit,
  ShutdownRung as WireRung,
} from "../../gen/warder/v1/vm_pb.js";
import type { RungOutcomeSchema, RungOutcome as WireOutcome } from "../../gen/warder/v1/vm_service_pb.js";
import type { VmExit } from "../vm/exit.ts";
import type { RungOutcome, ShutdownLadder, ShutdownMethod, ShutdownOutcome } from "../vm/shutdown.ts";
import { fromTimestamp, toShort, toTimestamp } from "./values.ts";
import { words } from "./words.ts";

/** A VM's end for the wire. */
export function toWireExit({ code, signal, cause, evidence, at }: VmExit): MessageInitShape<typeof VmExitSchema> {
  return {
    ...(code === null ? {} : { code }),
    ...(signal === null ? {} : { signal }),
    cause: words.cause.toWire(cause),
    evidence: [...evidence],
    at: toTimestamp(at),
  };
}

/** A VM's end of the wire. */
export function fromWireExit({ code, signal, cause, evidence, at }: WireExit): VmExit {
  return {
    code: code ?? null,
    signal: (signal as NodeJS.Signals | undefined) ?? null,
    cause: words.cause.fromWire(cause) ?? "unknown",
    evidence,
    at: fromTimestamp(at),
  };
}

/** A way down for the wire. */
export function toWireLadder(ladder: ShutdownLadder): MessageInitShape<typeof ShutdownRungSchema>[] {
  return ladder.map(({ method, timeoutMs }) => ({
    method: words.method.toWire(method),
    timeoutMs: toShort(timeoutMs),
  }));
}

/** A way down of the wire. What is no method stays one that can be refused by its name. */
export function fromWireLadder(rungs: readonly WireRung[]): { method: ShutdownMethod; timeoutMs: number }[] {
  return rungs.map(({ method, timeoutMs }) => {
    return { method: words.method.fromWire(method) ?? (`method ${method}` as ShutdownMethod), timeoutMs };
  });
}

/** What became of a shutdown, for the wire. */
export function toWireOutcome({ endedBy, rungs }: ShutdownOutcome): {
  endedBy?: number;
  rungs: MessageInitShape<typeof RungOutcomeSchema>[];
} {
  return {
    ...(endedBy === undefined ? {} : { endedBy: words.method.toWire(endedBy) }),
    rungs: rungs.map(({ method, ...rest }) => ({ ...rest, method: words.method.toWire(method) })),
  };
}

/** What became of a shutdown, of the wire. */
export function fromWireOutcome({
  endedBy,
  rungs,
}: {
  endedBy?: number | undefined;
  rungs: readonly WireOutcome[];
}): ShutdownOutcome {
  return {
    endedBy: endedBy === undefined ? undefined : words.method.fromWire(endedBy),
    rungs: rungs.map(({ method, result, afterMs, why }): RungOutcome => {
      return {
        method: words.method.fromWire(method) ?? "sigkill",
        result: result as RungOutcome["result"],
        afterMs,
        ...(why === undefined ? {} : { why }),
      };
    }),
  };
}
