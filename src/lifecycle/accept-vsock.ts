import type { Duplex } from "node:stream";
import { WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import { abortable } from "./abortable.ts";
import type { VmVsock } from "./vm-vsock.ts";

/** How a connection of the guest's is waited for. */
export interface AcceptOptions {
  /** Most milliseconds until there is one. Default: as long as the VM runs. */
  readonly timeoutMs?: number;
  readonly signal: AbortSignal;
}

/**
 * The first connection of the guest's to a port of the host's. The port is open until there is one.
 *
 * @throws {@link WarderError} `vsock-broken` where the VM ends before; `deadline-exceeded`; `aborted`; what opening a port
 * throws.
 */
export async function acceptVsock(
  vsock: Pick<VmVsock, "listen">,
  id: VmId,
  port: number,
  { timeoutMs, signal }: AcceptOptions,
): Promise<Duplex> {
  const first = Promise.withResolvers<Duplex>();
  const listening = await vsock.listen(port, (stream) => first.resolve(stream), { concurrent: 1 });
  const closed = listening.closed.then(() => Promise.reject(closedEarly(id, port)));
  closed.catch(() => undefined);
  const until = timeoutMs === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  try {
    return await abortable(Promise.race([first.promise, closed]), until);
  } catch (error) {
    throw WarderError.from(error, "internal", `waiting for ${id} to connect to vsock port ${port}`);
  } finally {
    listening.close();
  }
}

function closedEarly(id: VmId, port: number): WarderError {
  return new WarderError("vsock-broken", {
    doing: `waiting for ${id} to connect to vsock port ${port}`,
    why: "the VM, or the manager that looks after it, has ended",
  });
}
