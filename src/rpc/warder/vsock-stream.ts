import type { Duplex } from "node:stream";
import type { HandlerContext } from "@connectrpc/connect";
import type { StreamVsockRequest, VsockOpening } from "../../../gen/warder/v1/vm_service_pb.js";
import { acceptVsock } from "../../lifecycle/accept-vsock.ts";
import { WarderError } from "../../vm/error.ts";
import { hostOf, signalOf } from "../call.ts";
import { wrong } from "./requests.ts";
import { SIGN_OF_LIFE_MS, withSignsOfLife } from "./signs-of-life.ts";

/** An hour, as everywhere for vsock; a timer of more than 24 days would fire at once. */
const MAX_TIMEOUT_MS = 3_600_000;

/**
 * One connection between a caller and a program of a guest's. Each direction waits for its reader: nothing is held here
 * beyond what the streams hold by themselves.
 */
export async function* streamVsock(
  requests: AsyncIterable<StreamVsockRequest>,
  context: HandlerContext,
): AsyncGenerator<{ readonly data?: Uint8Array }, void> {
  const incoming = requests[Symbol.asyncIterator]();
  const opening = await openingOf(incoming);
  const doing = `speaking to vsock port ${opening.port} of ${opening.id}`;
  const signal = signalOf(context, doing);
  const stream = await open(opening, context, signal);
  const giveUp = () => void stream.destroy(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });
  // What goes wrong with it ends the stream, which is what is waited for.
  pass(incoming, stream, opening.passEnd).catch((error: unknown) =>
    stream.destroy(WarderError.from(error, "vsock-broken", doing)),
  );
  try {
    yield {};
    for await (const data of withSignsOfLife<Uint8Array>(stream, SIGN_OF_LIFE_MS))
      yield data === undefined ? {} : { data };
  } catch (error) {
    signal.throwIfAborted();
    throw WarderError.from(error, "vsock-broken", doing);
  } finally {
    signal.removeEventListener("abort", giveUp);
    stream.destroy();
  }
}

async function openingOf(incoming: AsyncIterator<StreamVsockRequest>): Promise<VsockOpening> {
  const { done, value } = await incoming.next();
  if (done !== true && value.opening !== undefined) return value.opening;
  throw wrong("opening", "is needed in the first request");
}

function open(opening: VsockOpening, context: HandlerContext, signal: AbortSignal): Promise<Duplex> {
  const { id, port, listen, timeoutMs, passEnd } = opening;
  if (timeoutMs !== undefined && timeoutMs > MAX_TIMEOUT_MS) {
    throw wrong("opening.timeout_ms", `must be at most ${MAX_TIMEOUT_MS}`);
  }
  const vm = hostOf(context).get(id);
  const options = { signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  if (listen) return acceptVsock(vm.vsock, vm.record.id, port, options);
  return vm.vsock.connect(port, { ...options, halfClose: passEnd ? "pass" : "hold" });
}

/** What the caller sends, as fast as the guest takes it. */
async function pass(incoming: AsyncIterator<StreamVsockRequest>, stream: Duplex, passEnd: boolean): Promise<void> {
  for (;;) {
    const { done, value } = await incoming.next();
    if (done === true) break;
    if (value.opening !== undefined) throw wrong("opening", "has its place in the first request alone");
    if (stream.destroyed) return;
    if (!stream.write(value.data)) await drained(stream);
  }
  if (passEnd) stream.end();
}

/** Settles when the stream takes more, or nothing any more. */
async function drained(stream: Duplex): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const event of ["drain", "close"]) stream.once(event, resolve);
  await promise;
  for (const event of ["drain", "close"]) stream.off(event, resolve);
}
