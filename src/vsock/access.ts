import type { Duplex } from "node:stream";
import type { VsockPortLimits } from "../vm/vsock.ts";
import type { HalfClose } from "./limited-stream.ts";

/** How a connection to the guest is made. */
export interface ConnectOptions {
  /** Most milliseconds until the guest has accepted, the wait for a place within the limits included. Default 10 000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /**
   * What ending the stream's writing side does: `hold` (default) leaves the connection open until the guest ends it;
   * `pass` tells Firecracker, which ends both directions, and with them an answer that is under way.
   */
  readonly halfClose?: HalfClose;
}

/** A port that is open to the guest. */
export interface VsockListening extends Disposable {
  /** Settles when the port is closed, by whichever side. */
  readonly closed: Promise<void>;
  /** Closes the port. Connections that there are go on. Repeating it does nothing. */
  close(): void;
}

/** Gets each connection of the guest's. What it throws ends the connection. */
export type OnConnection = (stream: Duplex) => void | Promise<void>;

/** A VM's vsock, in whichever process its broker is. */
export interface VsockAccess {
  /**
   * Connects to a port of the guest's.
   *
   * @returns The connection; each direction ends by itself as far as Firecracker lets it (see
   * {@link ConnectOptions.halfClose}).
   * @throws {@link WarderError} `vsock-refused`, `vsock-limit`, `deadline-exceeded`, `aborted`, `process-stranger`.
   */
  connect(port: number, options?: ConnectOptions): Promise<Duplex>;
  /**
   * Opens a port of the host's to the guest.
   *
   * @param limits - Beside those of the VM.
   * @throws {@link WarderError} `vsock-port-taken`.
   */
  listen(port: number, onConnection: OnConnection, limits?: VsockPortLimits): Promise<VsockListening>;
}

/** Deadline of {@link VsockAccess.connect} where its caller gives none. */
export const CONNECT_TIMEOUT_MS = 10_000;
