import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../gen/warder/v1/error_pb.js";
import { WarderError } from "../vm/error.ts";
import { toWireError } from "../wire/error.ts";

/** How connect-es begins what it says of bytes that are no message. It gives them the code of its own defects. */
const NO_MESSAGE = "parse binary: ";

/**
 * Sees to it that a request which can not be read is told so as every other error: `invalid_argument`, as connect-go has
 * it, with the typed detail. Bodies are read after the gate and before any interceptor: of what goes wrong in between
 * the call's own signal is told alone, right before the answer is made of it.
 */
export function tellUnreadable({ signal }: HandlerContext): void {
  signal.addEventListener("abort", () => void asUnreadable(signal.reason), { once: true });
}

/**
 * The same error, amended where it is about a message that could not be read. Its text may quote what was sent, cut in the
 * middle of a character, which gRPC has no way to say.
 */
export function asUnreadable<Reason>(reason: Reason): Reason {
  if (!(reason instanceof ConnectError)) return reason;
  (reason as { rawMessage: string }).rawMessage = reason.rawMessage.toWellFormed();
  if (reason.findDetails(ErrorInfoSchema).length > 0) return reason;
  const isBinary = reason.code === Code.Internal && reason.rawMessage.startsWith(NO_MESSAGE);
  if (!isBinary && reason.code !== Code.InvalidArgument) return reason;
  const { code, details } = toWireError(
    new WarderError("invalid-argument", { doing: "reading the request", why: reason.rawMessage }),
  );
  (reason as { code: Code }).code = code;
  reason.details.push(...details);
  return reason;
}
