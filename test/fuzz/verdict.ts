import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../gen/warder/v1/error_pb.js";
import type { RequestFailure } from "../../src/observability/requests.ts";
import { errorCodes } from "../../src/vm/error-codes.ts";

/** Statuses that say that the daemon did something wrong. */
const defects: ReadonlySet<Code> = new Set([Code.Internal, Code.Unknown, Code.DataLoss]);

/** What the protocol itself says of what it can not read, before anything of ours has seen it. */
const ofTheProtocol: ReadonlySet<Code> = new Set([
  ...[Code.InvalidArgument, Code.Unimplemented, Code.ResourceExhausted, Code.DeadlineExceeded, Code.Canceled],
]);

/** What is wrong with a failed call's error; `undefined` where it is as errors ought to be. */
export function problemOf(reason: unknown): string | undefined {
  const error = ConnectError.from(reason);
  const name = Code[error.code] ?? String(error.code);
  if (defects.has(error.code)) return `${name}: ${error.rawMessage}`;
  const [info] = error.findDetails(ErrorInfoSchema);
  if (info === undefined)
    return ofTheProtocol.has(error.code) ? undefined : `${name} without details: ${error.rawMessage}`;
  if (!Object.hasOwn(errorCodes, info.code)) return `the code ${info.code} is none`;
  return info.doing === "" || info.why === ""
    ? `${info.code} does not say what was done, and why it failed`
    : undefined;
}

/** What is wrong with the status of an answer to bytes. */
export function statusProblem(status: number, body: string): string | undefined {
  // Not implemented, not now, not in time, not in this version of HTTP.
  const isKnown = status < 500 || [501, 503, 504, 505].includes(status);
  return isKnown ? undefined : `${status}: ${body}`;
}

/** Whether gRPC's own rules have a server say INTERNAL: a message is said to be compressed, and not how. */
export function isPrescribed(message: string): boolean {
  return /received(?: |%20)compressed(?: |%20)envelope/.test(message);
}

/** What the operator is told of as the daemon's own failure, and ought not to be. */
export function defectsIn(failures: readonly RequestFailure[]): readonly RequestFailure[] {
  return failures.filter(({ code, error }) => code === "internal" && !isPrescribed(String(error)));
}
