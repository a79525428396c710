import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../gen/warder/v1/error_pb.js";
import { isWarderError, messageOf, systemCodeOf, WarderError } from "../vm/error.ts";
import { type ErrorCode, errorCodes, type WireCode } from "../vm/error-codes.ts";

const codes: Readonly<Record<WireCode, Code>> = {
  aborted: Code.Aborted,
  already_exists: Code.AlreadyExists,
  canceled: Code.Canceled,
  deadline_exceeded: Code.DeadlineExceeded,
  failed_precondition: Code.FailedPrecondition,
  internal: Code.Internal,
  invalid_argument: Code.InvalidArgument,
  not_found: Code.NotFound,
  out_of_range: Code.OutOfRange,
  permission_denied: Code.PermissionDenied,
  resource_exhausted: Code.ResourceExhausted,
  unauthenticated: Code.Unauthenticated,
  unavailable: Code.Unavailable,
  unimplemented: Code.Unimplemented,
};

/** An error as a client gets it: its code in the protocol's own terms, everything else as a typed detail. */
export function toWireError(error: WarderError): ConnectError {
  const { code, doing, why, cure = "", fields, cleanup, message } = error;
  const value = { code, doing, why, cure, fields: [...fields], cleanup: cleanup.map(messageOf) };
  // Texts of callers may be in it, which need not be any in Unicode; gRPC's status has no form for those.
  return new ConnectError(
    message.toWellFormed(),
    codes[errorCodes[code].wire],
    undefined,
    [{ desc: ErrorInfoSchema, value }],
    error,
  );
}

/** The error that a client's caller gets: what the daemon threw, or what kept the two from talking. */
export function fromWireError(reason: unknown, doing: string): WarderError {
  if (isWarderError(reason)) return reason;
  const error = ConnectError.from(reason);
  const [info] = error.findDetails(ErrorInfoSchema);
  if (info === undefined) return fromTransport(error, doing);
  return new WarderError(isErrorCode(info.code) ? info.code : "internal", {
    doing: info.doing,
    why: info.why,
    ...(info.cure === "" ? {} : { cure: info.cure }),
    fields: info.fields.map(({ field, problem }) => ({ field, problem })),
    cleanup: info.cleanup,
    // Where a defect of the daemon's came up is in its log: this side's stack says nothing of it.
    ...(info.code === "internal" ? {} : { cause: reason }),
  });
}

/** What the protocol itself refuses, and what a connection breaks with. */
function fromTransport(error: ConnectError, doing: string): WarderError {
  const facts = { doing, why: error.rawMessage, cause: error };
  const system = systemCodeOf(error);
  if (system === "EACCES") {
    const cure = "Run as root, or as a member of the group that may use the daemon's socket";
    return new WarderError("permission-denied", { ...facts, cure });
  }
  if (system !== undefined && unreachable.has(system)) return noDaemon(facts);
  switch (error.code) {
    case Code.Canceled:
      return new WarderError("aborted", facts);
    case Code.DeadlineExceeded:
      return new WarderError("deadline-exceeded", facts);
    case Code.Unauthenticated:
      return new WarderError("unauthenticated", facts);
    case Code.PermissionDenied:
      return new WarderError("forbidden", facts);
    case Code.InvalidArgument:
      return new WarderError("invalid-argument", facts);
    case Code.ResourceExhausted:
      return new WarderError("too-many-requests", facts);
    case Code.Unavailable:
    case Code.Aborted:
      return noDaemon(facts);
    case Code.Unimplemented:
      return new WarderError("daemon-too-old", { ...facts, cure: "Use the client of the daemon's version" });
    default:
      return new WarderError("internal", facts);
  }
}

/** What a connection that can not be made, or breaks, ends with. */
const unreachable: ReadonlySet<string> = new Set(["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE", "ENOTSOCK"]);

function noDaemon(facts: { readonly doing: string; readonly why: string; readonly cause: unknown }): WarderError {
  return new WarderError("daemon-unreachable", {
    ...facts,
    cure: "See whether `warder serve` runs, and what its log says",
  });
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCodes, code);
}
