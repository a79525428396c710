/**
 * Errors of the operating system as the real programs print them: Rust's `io::Error` over musl's messages, which
 * differ from Node's and from glibc's ("Resource busy", not "Device or resource busy").
 */

interface Known {
  readonly kind: string;
  readonly message: string;
}

const KNOWN: Readonly<Record<number, Known>> = {
  1: { kind: "PermissionDenied", message: "Operation not permitted" },
  2: { kind: "NotFound", message: "No such file or directory" },
  5: { kind: "Uncategorized", message: "I/O error" },
  6: { kind: "Uncategorized", message: "No such device or address" },
  11: { kind: "WouldBlock", message: "Resource temporarily unavailable" },
  13: { kind: "PermissionDenied", message: "Permission denied" },
  16: { kind: "ResourceBusy", message: "Resource busy" },
  17: { kind: "AlreadyExists", message: "File exists" },
  18: { kind: "CrossesDevices", message: "Cross-device link" },
  19: { kind: "Uncategorized", message: "No such device" },
  20: { kind: "NotADirectory", message: "Not a directory" },
  21: { kind: "IsADirectory", message: "Is a directory" },
  22: { kind: "InvalidInput", message: "Invalid argument" },
  24: { kind: "Uncategorized", message: "No file descriptors available" },
  26: { kind: "ExecutableFileBusy", message: "Text file busy" },
  27: { kind: "FileTooLarge", message: "File too large" },
  28: { kind: "StorageFull", message: "No space left on device" },
  30: { kind: "ReadOnlyFilesystem", message: "Read-only file system" },
  32: { kind: "BrokenPipe", message: "Broken pipe" },
  36: { kind: "InvalidFilename", message: "Filename too long" },
  40: { kind: "FilesystemLoop", message: "Symbolic link loop" },
  98: { kind: "AddrInUse", message: "Address in use" },
};

/** Numbers of the errors the fakes raise themselves. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EINVAL: 22,
  ETXTBSY: 26,
  ELOOP: 40,
  EADDRINUSE: 98,
} as const;

/** An operating-system error in both of Rust's forms. */
export class OsError extends Error {
  override readonly name = "OsError";
  readonly errno: number;
  /** As `{}` prints it: `No such file or directory (os error 2)`. */
  readonly display: string;
  /** As `{:?}` prints it: `Os { code: 2, kind: NotFound, message: "…" }`. */
  readonly debug: string;

  constructor(errno: number) {
    const known = KNOWN[errno] ?? { kind: "Uncategorized", message: "No error information" };
    const display = `${known.message} (os error ${errno})`;
    super(display);
    this.errno = errno;
    this.display = display;
    this.debug = `Os { code: ${errno}, kind: ${known.kind}, message: ${JSON.stringify(known.message)} }`;
  }
}

/** Turns what a `node:fs` or `node:net` call threw into the real programs' terms; anything else is a bug and rethrown. */
export function toOsError(thrown: unknown): OsError {
  if (thrown instanceof OsError) return thrown;
  if (thrown instanceof Error && "errno" in thrown && typeof thrown.errno === "number") {
    return new OsError(Math.abs(thrown.errno));
  }
  throw thrown;
}

/** Runs a system call, with its failure in the real programs' terms. */
export function attempt<T>(call: () => T, wrap: (error: OsError) => Error): T {
  try {
    return call();
  } catch (thrown) {
    throw wrap(toOsError(thrown));
  }
}
