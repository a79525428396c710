import { systemCodeOf } from "../vm/error.ts";
import type { VmRecord } from "../vm/record.ts";
import type { Machinery } from "./machinery.ts";
import { outputPaths } from "./output-files.ts";

/** What of a VM's output is kept: the guest's serial port, or Firecracker's log. */
export type OutputKind = "console" | "log";

/** How often new output is looked for. */
const POLL_MS = 50;
const SLICE_BYTES = 64 * 1024;

/** Where a reader stands: in which file, told apart by its inode, and behind which byte of it. */
interface Position {
  readonly inode: number;
  readonly offset: number;
}

/** What of a VM's output is kept now, as it came: untrusted bytes, the oldest of them perhaps gone. */
export function* keptOutput(
  machinery: Machinery,
  id: VmRecord["id"],
  kind: OutputKind,
): Generator<Uint8Array, Position> {
  return yield* readOn(machinery, id, kind, { inode: 0, offset: 0 });
}

/**
 * Everything that is kept of a VM's output from a position on, and what comes until the VM has ended. What comes faster
 * than it is read and kept is lost.
 *
 * @throws the signal's reason.
 */
export async function* followOutput(
  machinery: Machinery,
  id: VmRecord["id"],
  kind: OutputKind,
  from: Position,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { store, host } = machinery;
  let position = from;
  for (;;) {
    // Asked before the last look: whoever looks after the VM writes its output first, and then its end.
    const record = store.get(id);
    position = yield* readOn(machinery, id, kind, position);
    if (record === undefined || record.exit !== undefined) return;
    await host.clock.sleep(POLL_MS, signal);
  }
}

/**
 * Reads on to the end as it is now. A full file becomes `….1` and a new one takes its place (see `BoundedFile`): so the
 * one stood in is looked for in both places, and where it is in neither any more, what is kept is read from its
 * beginning. A file that moved while it was read is left for the next look.
 */
function* readOn(
  machinery: Machinery,
  id: VmRecord["id"],
  kind: OutputKind,
  position: Position,
): Generator<Uint8Array, Position> {
  const newer = outputPaths(machinery.settings, id)[kind];
  const present = [`${newer}.1`, newer].flatMap((path) => {
    const facts = machinery.host.files.inspect(path);
    return facts === undefined ? [] : [{ path, inode: facts.inode, size: facts.size }];
  });
  const stoodIn = present.findIndex(({ inode }) => inode === position.inode);
  let last = position;
  for (const file of present.slice(Math.max(0, stoodIn))) {
    let offset = file.inode === position.inode ? position.offset : 0;
    while (offset < file.size) {
      const slice = readSlice(machinery, file, offset);
      if (slice === undefined) return last;
      offset += slice.length;
      last = { inode: file.inode, offset };
      yield slice;
    }
  }
  return last;
}

/** `undefined` where another file has taken the name since, or none is there any more. */
function readSlice(
  { host }: Machinery,
  { path, inode, size }: { readonly path: string; readonly inode: number; readonly size: number },
  offset: number,
): Uint8Array | undefined {
  try {
    const slice = host.files.readSlice(path, offset, Math.min(SLICE_BYTES, size - offset));
    return slice.length === 0 || host.files.inspect(path)?.inode !== inode ? undefined : slice;
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
