/** What the head of an ELF file tells. */
export interface ElfFacts {
  readonly machine: "x86-64" | "aarch64" | "other";
  /**
   * False where the file names an interpreter, which is what makes a program dynamic: a jail has no libraries and no
   * loader. `undefined` where its program headers lie beyond the bytes that were given.
   */
  readonly isStatic: boolean | undefined;
}

/** Bytes of a file's head that hold every program header of any ordinary linker's output. */
export const ELF_HEAD_BYTES = 4096;

const FILE_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const INTERPRETER_SEGMENT = 3;
const machines: ReadonlyMap<number, ElfFacts["machine"]> = new Map([
  [62, "x86-64"],
  [183, "aarch64"],
]);

/**
 * Reads the head of a file; `undefined` where it is not a little-endian 64-bit ELF program. Never throws, whatever the
 * bytes are.
 */
export function inspectElf(head: Uint8Array): ElfFacts | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (!isElf64(view)) return undefined;
  return { machine: machines.get(view.getUint16(18, true)) ?? "other", isStatic: isStatic(view) };
}

function isElf64(view: DataView): boolean {
  if (view.byteLength < FILE_HEADER_BYTES) return false;
  const isElf = view.getUint32(0, false) === 0x7f454c46;
  const is64Bit = view.getUint8(4) === 2;
  const isLittleEndian = view.getUint8(5) === 1;
  return isElf && is64Bit && isLittleEndian;
}

function isStatic(view: DataView): boolean | undefined {
  const offset = Number(view.getBigUint64(32, true));
  const entryBytes = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  if (entryBytes < PROGRAM_HEADER_BYTES || offset + entryBytes * count > view.byteLength) return undefined;
  for (let index = 0; index < count; index++) {
    if (view.getUint32(offset + index * entryBytes, true) === INTERPRETER_SEGMENT) return false;
  }
  return true;
}
