/** The smallest 64-bit ELF program for x86-64: two headers, and one segment that is the whole file. */

const ELF_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const CODE_OFFSET = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES;

const EXECUTABLE = 2;
const X86_64 = 62;
const LOADED = 1;
const READ_AND_EXECUTE = 5;
const PAGE_BYTES = 0x1000n;

/** Makes a program that is loaded at an address, and entered where its code begins. */
export function elfProgram(loadAddress: bigint, content: Uint8Array): Uint8Array {
  const bytes = BigInt(CODE_OFFSET + content.length);
  return Buffer.concat([elfHeader(loadAddress), programHeader(loadAddress, bytes), content]);
}

/** Machine code that was written down in hexadecimal, with spaces between instructions. */
export function machineCode(hexadecimal: string): Uint8Array {
  return Buffer.from(hexadecimal.replaceAll(" ", ""), "hex");
}

function elfHeader(loadAddress: bigint): Buffer {
  const header = Buffer.alloc(ELF_HEADER_BYTES);
  header.write("7f454c46020101", 0, "hex"); // magic, 64 bit, little-endian, version
  header.writeUInt16LE(EXECUTABLE, 16);
  header.writeUInt16LE(X86_64, 18);
  header.writeUInt32LE(1, 20); // version
  header.writeBigUInt64LE(loadAddress + BigInt(CODE_OFFSET), 24); // entry
  header.writeBigUInt64LE(BigInt(ELF_HEADER_BYTES), 32); // where the program headers are
  header.writeUInt16LE(ELF_HEADER_BYTES, 52);
  header.writeUInt16LE(PROGRAM_HEADER_BYTES, 54);
  header.writeUInt16LE(1, 56); // how many there are
  return header;
}

function programHeader(loadAddress: bigint, bytes: bigint): Buffer {
  const header = Buffer.alloc(PROGRAM_HEADER_BYTES);
  header.writeUInt32LE(LOADED, 0);
  header.writeUInt32LE(READ_AND_EXECUTE, 4);
  header.writeBigUInt64LE(loadAddress, 16); // virtual address; the file is loaded from its start
  header.writeBigUInt64LE(loadAddress, 24); // physical address
  header.writeBigUInt64LE(bytes, 32); // in the file
  header.writeBigUInt64LE(bytes, 40); // in memory
  header.writeBigUInt64LE(PAGE_BYTES, 48);
  return header;
}
