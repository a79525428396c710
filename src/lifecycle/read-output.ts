import type { VmId } from "../vm/id.ts";
import { type OutputKind, OutputReader } from "./follow.ts";
import type { Machinery } from "./machinery.ts";
import { lastLines } from "./tail.ts";

/** Which part of a VM's output. */
export interface OutputRange {
  /** Go on until the VM has ended. */
  readonly follow: boolean;
  /** Begin with the last so many lines of what is kept. Default: with all of it. */
  readonly tailLines?: number | undefined;
  readonly signal: AbortSignal;
}

/**
 * What is kept of a VM's output and, where it is followed, what comes until its end. Untrusted bytes.
 *
 * @throws the signal's reason.
 */
export async function* readOutput(
  machinery: Machinery,
  id: VmId,
  kind: OutputKind,
  { follow, tailLines, signal }: OutputRange,
): AsyncGenerator<Uint8Array, void> {
  using reader = new OutputReader(machinery, id, kind);
  const kept = reader.read();
  if (tailLines === undefined) yield* kept;
  else yield lastLines(kept, tailLines);
  if (follow) yield* reader.follow(signal);
}
