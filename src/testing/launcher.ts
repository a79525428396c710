/**
 * The executable files of the fakes. Each is a few hundred bytes of static ELF, since a manager may refuse to run
 * anything else as root, and it is what is copied into the jail. All it does is to execute a shell script that knows the
 * rest: an empty environment tells a program nothing.
 */
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { elfProgram, machineCode } from "./common/elf.ts";
import { JAIL_USER } from "./firecracker/jail.ts";

/** Where Linux programs usually lie. */
const LOAD_ADDRESS = 0x40_0000n;

/**
 * execve("/bin/sh", {"/bin/sh", script, argv[1]…}, environment), in place: the words for `argc` and `argv[0]` on the
 * stack become the new first two arguments. Then exit(127). Behind the code lie the two strings.
 */
const EXECUTE_SCRIPT = [
  "488d3d2f000000", // lea shell(%rip), %rdi
  "488d0530000000", // lea script(%rip), %rax
  "488b0c24", // mov (%rsp), %rcx
  "488d54cc10", // lea 16(%rsp,%rcx,8), %rdx
  "48893c24 4889442408", // mov %rdi, (%rsp); mov %rax, 8(%rsp)
  "4889e6", // mov %rsp, %rsi
  "b83b000000 0f05", // execve
  "bf7f000000 b83c000000 0f05", // exit(127)
].join(" ");

/** Writes the executable of one fake. */
export async function writeLauncher(
  directory: string,
  home: string,
  name: string,
  program: "fake-jailer" | "fake-firecracker",
): Promise<string> {
  const path = join(directory, name);
  const script = join(home, `${program}.sh`);
  await writeExecutable(script, scriptText(home, program));
  await writeExecutable(path, process.arch === "x64" ? elf(script) : scriptText(home, program));
  return path;
}

async function writeExecutable(path: string, content: string | Uint8Array): Promise<void> {
  await writeFile(path, content);
  await chmod(path, 0o755);
}

function elf(script: string): Uint8Array {
  const strings = Buffer.from(`/bin/sh\0${script}\0`);
  return elfProgram(LOAD_ADDRESS, Buffer.concat([machineCode(EXECUTE_SCRIPT), strings]));
}

/**
 * Core files are switched off: one of Node.js is large, and panics are part of the protocol. The cache spares the next
 * start from compiling, and from stripping types where the programs are TypeScript.
 */
function scriptText(home: string, program: string): string {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const file = fileURLToPath(new URL(`./${program}.${extension}`, import.meta.url));
  // Older Node.js calls type stripping and execve experimental, on the standard error that belongs to the fakes.
  const quiet = "--disable-warning=ExperimentalWarning";
  const command = [process.execPath, quiet, file, join(home, "settings.json")].map(quote).join(" ");
  const lines = [
    "#!/bin/sh",
    "ulimit -c 0",
    `export NODE_COMPILE_CACHE=${quote(join(home, "compile-cache"))}`,
    ...measuring(),
    `exec ${command} "$@"`,
  ];
  return `${lines.join("\n")}\n`;
}

/** Where tests are measured the programs are too, unless they change to a user who may not write there. */
function measuring(): string[] {
  const coverage = process.env.NODE_V8_COVERAGE;
  if (coverage === undefined || coverage === "") return [];
  return [`[ -n "$${JAIL_USER}" ] || export NODE_V8_COVERAGE=${quote(coverage)}`];
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
