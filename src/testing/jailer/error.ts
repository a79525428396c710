/** How the real jailer fails: one message for people, one in Rust's debug form, and an ending that changed in 1.13. */
import { writeSync } from "node:fs";
import { ArgumentError } from "../common/arguments.ts";
import type { OsError } from "../common/os-error.ts";
import type { Release } from "../common/release.ts";
import { debugString } from "../common/rust.ts";

/** A failure of the jailer after its arguments were parsed. */
export class JailerError extends Error {
  override readonly name = "JailerError";
  readonly debug: string;

  constructor(message: string, debug: string) {
    super(message);
    this.debug = debug;
  }
}

/** A failed system call on one path: `Failed to copy …`, `Failed to open file …`. */
export function pathError(
  variant: string,
  doing: string,
  ...paths: readonly string[]
): (error: OsError) => JailerError {
  return (error) =>
    new JailerError(
      `Failed to ${doing}: ${error.display}`,
      `${variant}(${[...paths.map(debugString), error.debug].join(", ")})`,
    );
}

/** A value that was refused: the variant carries the value alone. */
export function valueError(variant: string, message: string, ...values: readonly string[]): JailerError {
  return new JailerError(message, `${variant}(${values.map(debugString).join(", ")})`);
}

export const canonicalize = (path: string) => pathError("Canonicalize", `canonicalize path ${path}`, path);

export const createDirectory = (path: string) => pathError("CreateDir", `create directory ${path}`, path);

export const openFile = (path: string) => pathError("FileOpen", `open file ${path}`, path);

export const copyFile = (from: string, to: string) => pathError("Copy", `copy ${from} to ${to}`, from, to);

export const changeOwner = (path: string) => pathError("ChangeFileOwner", `change owner for ${path}`, path);

export const writeFile = (path: string) => pathError("Write", `write to ${path}`, path);

export const readFile = (path: string) => pathError("ReadToString", `read file ${path} into a string`, path);

export const execFirecracker = pathError("Exec", "exec into Firecracker");

export const joinNetns = pathError("SetNetNs", "join network namespace: netns");

export const makeNode = (device: string) => (error: OsError) =>
  new JailerError(
    `Failed to create ${device} via mknod inside the jail: ${error.display}`,
    `MknodDev(${error.debug}, ${debugString(device)})`,
  );

/** The words and the exit status a failure ends with. */
export interface Ending {
  readonly stderr: string;
  /** Until 1.12 a panic: SIGABRT, which a shell shows as 134. */
  readonly abort: boolean;
}

/** How this release ends with this error. */
export function endingOf(error: Error, release: Release): Ending {
  if (error instanceof ArgumentError) {
    const stderr = `Failed to parse arguments: ${error.message}\nError: ArgumentParsing(${error.debug})\n`;
    return { stderr, abort: false };
  }
  if (!(error instanceof JailerError)) throw error;
  if (!release.jailerPanics) return { stderr: `${error.message}\nError: ${error.debug}\n`, abort: false };
  const hint = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace";
  const place = "thread 'main' panicked at src/jailer/src/main.rs:355:27:";
  return { stderr: `\n${place}\nJailer error: ${error.message}\n${hint}\n`, abort: true };
}

/** Ends the process. */
export function endWith(ending: Ending): never {
  writeSync(2, ending.stderr);
  if (ending.abort) process.kill(process.pid, "SIGABRT");
  process.exit(1);
}
