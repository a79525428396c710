import { type ErrorCode, errorCodes } from "./error-codes.ts";

/** One wrong field of an input: where it stands, what is wrong with it. */
export interface FieldProblem {
  /** Path of the field as the caller wrote it, such as `drives[0].path` or `--memory`. */
  readonly field: string;
  readonly problem: string;
}

/** What a {@link WarderError} is made from. */
export interface WarderErrorFacts {
  /** What was being done, to what, as a gerund clause: `staging /srv/vmlinux into the jail of vm-1`. */
  readonly doing: string;
  /** Why it failed, as a clause without a final stop. */
  readonly why: string;
  /** What the reader can do about it, as an imperative sentence without a final stop, where that is known. */
  readonly cure?: string;
  /** All wrong fields, where the input was wrong. */
  readonly fields?: readonly FieldProblem[];
  /** What failed below. */
  readonly cause?: unknown;
  /** Failures of the clean-up that followed: kept beside the first error, never instead of it. */
  readonly cleanup?: readonly unknown[];
}

const marker = Symbol.for("warder.error");

/**
 * The one error class of Warder. `code` is for programs, `message` for people: what was being done, to what, why it
 * failed, and what to do.
 *
 * @example
 * try { await warder.run(spec) } catch (error) {
 *   if (isWarderError(error) && error.code === "isolation-gap") console.error(error.cure);
 * }
 */
export class WarderError extends Error {
  override readonly name = "WarderError";
  readonly code: ErrorCode;
  readonly doing: string;
  readonly why: string;
  readonly cure: string | undefined;
  readonly fields: readonly FieldProblem[];
  readonly cleanup: readonly unknown[];
  readonly [marker] = true;

  constructor(code: ErrorCode, facts: WarderErrorFacts) {
    super(composeMessage(facts), facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.doing = facts.doing;
    this.why = facts.why;
    this.cure = facts.cure;
    this.fields = Object.freeze([...(facts.fields ?? [])]);
    this.cleanup = Object.freeze([...(facts.cleanup ?? [])]);
  }

  /** The command line's exit status for this error. */
  get exitStatus(): number {
    return errorCodes[this.code].exitStatus;
  }

  /** The same error with the failures of a clean-up beside it. */
  withCleanup(failures: readonly unknown[]): WarderError {
    if (failures.length === 0) return this;
    return new WarderError(this.code, {
      doing: this.doing,
      why: this.why,
      ...(this.cure === undefined ? {} : { cure: this.cure }),
      fields: this.fields,
      cause: this.cause,
      cleanup: [...this.cleanup, ...failures],
    });
  }

  /** What `--json` prints and the daemon sends: no stack, no cause beyond its message. */
  toJSON(): Record<string, unknown> {
    return {
      code: this.code,
      message: this.message,
      doing: this.doing,
      why: this.why,
      ...(this.cure === undefined ? {} : { cure: this.cure }),
      ...(this.fields.length === 0 ? {} : { fields: this.fields }),
      ...(this.cleanup.length === 0 ? {} : { cleanup: this.cleanup.map(messageOf) }),
    };
  }

  /**
   * The one door from any thrown thing to a {@link WarderError}. Errors of Warder pass unchanged; an abort becomes
   * `aborted` or `deadline-exceeded`; a full disk and a refused system call get their own codes; anything else is
   * `fallback`.
   */
  static from(reason: unknown, fallback: ErrorCode, doing: string): WarderError {
    if (isWarderError(reason)) return reason;
    const system = systemCodeOf(reason);
    const known = knownCode(reason, system);
    return new WarderError(known?.code ?? fallback, {
      doing,
      why: messageOf(reason),
      cause: reason,
      ...(known?.cure === undefined ? {} : { cure: known.cure }),
    });
  }
}

/** Works across copies of the package and realms, where `instanceof` does not. */
export function isWarderError(reason: unknown): reason is WarderError {
  return typeof reason === "object" && reason !== null && marker in reason;
}

/** The text of anything thrown. */
export function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}

/** `ENOENT` and its kin, where the reason, or a cause of it at most eight levels down, carries one. */
export function systemCodeOf(reason: unknown): string | undefined {
  let current: unknown = reason;
  for (let depth = 0; depth < 8 && typeof current === "object" && current !== null; depth++) {
    const { code, cause } = current as { code?: unknown; cause?: unknown };
    if (typeof code === "string" && /^E[A-Z0-9]+$/.test(code)) return code;
    current = cause;
  }
  return undefined;
}

function knownCode(reason: unknown, system: string | undefined): { code: ErrorCode; cure?: string } | undefined {
  if (reason instanceof Error && reason.name === "AbortError") return { code: "aborted" };
  if (reason instanceof Error && reason.name === "TimeoutError") return { code: "deadline-exceeded" };
  if (system === "ENOSPC" || system === "EDQUOT") {
    return { code: "disk-full", cure: "Free space on that file system, or point the setting at another one" };
  }
  if (system === "EPERM" || system === "EACCES") {
    return { code: "permission-denied", cure: "Run as root, or give the process the capability that is missing" };
  }
  return undefined;
}

function composeMessage(facts: WarderErrorFacts): string {
  const fields = (facts.fields ?? []).map(({ field, problem }) => `\n  ${field}: ${problem}`).join("");
  const cure = facts.cure === undefined ? "" : `${fields === "" ? ". " : "\n"}${facts.cure}.`;
  return `${facts.doing}: ${facts.why}${fields}${cure}`;
}
