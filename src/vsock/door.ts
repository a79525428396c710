import type { Duplex } from "node:stream";
import type { Host } from "../host/host.ts";
import type { Listening } from "../host/streams.ts";
import type { Gate } from "./gate.ts";
import { Passage } from "./passage.ts";
import { portSocket, socketDirectory, type VsockPlace } from "./place.ts";

/** Least time for which a door stays shut: what a flood of connections costs the manager is bounded by it. */
const SHUT_MS = 50;

/** What a door needs. */
export interface DoorOptions {
  readonly host: Host;
  readonly place: VsockPlace;
  readonly port: number;
  /** What each connection has to pass. */
  readonly gates: readonly Gate[];
  /** Gets each connection whose turn has come. */
  readonly onConnection: (stream: Duplex) => void;
  /** Called when a connection has left, or waits no longer: this door or another may have room now. */
  readonly onLeft: () => void;
  /** Gets what keeps the door from opening again, such as something that the jailed process has put in its way. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * One port of the host's, open to the guest: a socket of the manager's, made where the jailed process can not change its
 * name, and hard-linked to where its Firecracker looks for it. Only root and the group of the jailed process, which is
 * that VM's alone, may connect.
 *
 * While no more connections may come the door is shut, which is to say gone: Firecracker then refuses the guest by
 * itself, and a guest that goes on trying costs the manager nothing.
 */
export class Door {
  readonly #options: DoorOptions;
  readonly #closed = new AbortController();
  /** Settles when the door is closed for good. */
  readonly closed: Promise<void>;
  #listening: Listening | undefined;
  #isOpening = false;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.closed = new Promise((resolve) => {
      this.#closed.signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  /** Opens the door: the guest may connect from now on. */
  async open(): Promise<void> {
    const { host, place, port } = this.#options;
    const directory = socketDirectory(place);
    // Left by a manager that is gone.
    host.files.removeFile(`${directory}/${port}`);
    const listening = await host.streams.listen({
      directory,
      name: String(port),
      ownership: { mode: 0o660, uid: host.processes.effectiveUid, gid: place.gid },
      onConnection: (socket) => this.#take(socket),
    });
    if (this.#closed.signal.aborted) return listening.close();
    this.#listening = listening;
    try {
      host.files.removeFile(portSocket(place, port));
      host.files.hardLink(`${directory}/${port}`, portSocket(place, port));
    } catch (error) {
      this.#shut();
      throw error;
    }
  }

  /** Opens the door again where it was shut and there is room now. */
  reopen(): void {
    if (this.#listening !== undefined || this.#isOpening || !this.#hasRoom) return;
    this.#isOpening = true;
    this.#openLater()
      .catch((error: unknown) => {
        if (!this.#closed.signal.aborted) this.#options.onFailure(error);
      })
      .finally(() => {
        this.#isOpening = false;
      });
  }

  /** Closes the door for good, and gives up connections that wait for their turn. Those behind it go on. */
  close(): void {
    this.#closed.abort(new Error("the port was closed"));
    this.#shut();
  }

  get #hasRoom(): boolean {
    return this.#options.gates.every((gate) => gate.hasRoomFor("guest"));
  }

  async #openLater(): Promise<void> {
    await this.#options.host.clock.sleep(SHUT_MS, this.#closed.signal);
    if (this.#hasRoom) await this.open();
  }

  #shut(): void {
    this.#listening?.close();
    this.#listening = undefined;
    const { host, place, port } = this.#options;
    try {
      host.files.removeFile(portSocket(place, port));
    } catch {
      // What lies there is not ours to remove, such as a directory, or the jail is gone. Nobody listens behind it.
    }
  }

  #take(socket: Duplex): void {
    const passage = Passage.enter("guest", this.#options.gates, this.#options.onLeft);
    if (!this.#hasRoom) this.#shut();
    if (passage === undefined) socket.destroy();
    else void this.#admit(socket, passage);
  }

  /** A connection that has gone when its turn comes has used it up all the same: it was taken. */
  async #admit(socket: Duplex, passage: Passage): Promise<void> {
    try {
      const turn = passage.turn(this.#closed.signal);
      // It may be the last one that may wait.
      if (!this.#hasRoom) this.#shut();
      await turn;
      // Another may wait in its place now.
      this.#options.onLeft();
      this.#options.onConnection(passage.limit(socket, "pass"));
    } catch {
      socket.destroy();
      passage.leave();
    }
  }
}
