/**
 * Builds the tiny guests, `guests/<name>.S` → `guests/<name>.elf`. With `--check` it writes nothing and fails where a
 * committed ELF is not what its source gives.
 *
 * The assembler's output is wrapped in an ELF header made here, not by the linker: so the files are the same with any
 * version of binutils, hold no paths or dates, and are as small as can be.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const guestsDirectory = join(import.meta.dirname, "../guests");

/** Where the guests run: 16 MiB, far above Firecracker's own tables; the same figure is in guest.ld. */
const LOAD_ADDRESS = 0x100_0000n;
const FILE_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const HEADERS_BYTES = FILE_HEADER_BYTES + PROGRAM_HEADER_BYTES;
/** Fields that are small numbers in every ELF64 file for x86-64. */
const EXECUTABLE = 2;
const X86_64 = 62;
const CURRENT_VERSION = 1;
const LOAD_SEGMENT = 1;
const READ_WRITE_EXECUTE = 7;

process.exitCode = main(process.argv.slice(2));

function main(args: readonly string[]): number {
  if (args.some((arg) => arg !== "--check")) {
    console.error("usage: node scripts/build-guests.ts [--check]");
    return 2;
  }
  const guests = readdirSync(guestsDirectory)
    .filter((name) => name.endsWith(".S"))
    .map((name) => name.slice(0, -".S".length));
  return args.includes("--check") ? check(guests) : build(guests);
}

function build(guests: readonly string[]): number {
  for (const guest of guests) {
    const elf = toElf(assemble(guest));
    writeFileSync(elfPath(guest), elf);
    console.log(`guests/${guest}.elf: ${elf.byteLength} bytes`);
  }
  return 0;
}

function check(guests: readonly string[]): number {
  const stale = guests.filter((guest) => {
    return !existsSync(elfPath(guest)) || !readFileSync(elfPath(guest)).equals(toElf(assemble(guest)));
  });
  for (const guest of stale) console.error(`guests/${guest}.elf is not what guests/${guest}.S gives`);
  if (stale.length > 0) console.error("run node scripts/build-guests.ts and commit the result");
  return stale.length > 0 ? 1 : 0;
}

/** The guest's code and data as they lie in memory; its first byte is where it starts. */
function assemble(guest: string): Buffer {
  const scratch = mkdtempSync(join(tmpdir(), "warder-guest-"));
  try {
    const image = join(scratch, "image");
    const script = join(guestsDirectory, "guest.ld");
    const linking = ["-nostdlib", "-static", "-no-pie", `-Wl,-T,${script}`, "-Wl,--build-id=none"];
    execFileSync("gcc", [...linking, "-o", image, join(guestsDirectory, `${guest}.S`)], { stdio: "inherit" });
    return readFileSync(image);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** An ELF file with one segment, which holds the image. */
function toElf(image: Buffer): Buffer {
  const header = Buffer.alloc(HEADERS_BYTES);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2 /* 64 bits */, 1 /* little endian */, CURRENT_VERSION]);
  header.writeUInt16LE(EXECUTABLE, 16);
  header.writeUInt16LE(X86_64, 18);
  header.writeUInt32LE(CURRENT_VERSION, 20);
  header.writeBigUInt64LE(LOAD_ADDRESS, 24);
  header.writeBigUInt64LE(BigInt(FILE_HEADER_BYTES), 32);
  header.writeUInt16LE(FILE_HEADER_BYTES, 52);
  header.writeUInt16LE(PROGRAM_HEADER_BYTES, 54);
  header.writeUInt16LE(1, 56);

  header.writeUInt32LE(LOAD_SEGMENT, 64);
  header.writeUInt32LE(READ_WRITE_EXECUTE, 68);
  header.writeBigUInt64LE(BigInt(HEADERS_BYTES), 72);
  header.writeBigUInt64LE(LOAD_ADDRESS, 80);
  header.writeBigUInt64LE(LOAD_ADDRESS, 88);
  header.writeBigUInt64LE(BigInt(image.byteLength), 96);
  header.writeBigUInt64LE(BigInt(image.byteLength), 104);
  header.writeBigUInt64LE(1n, 112);
  return Buffer.concat([header, image]);
}

function elfPath(guest: string): string {
  return join(guestsDirectory, `${guest}.elf`);
}
