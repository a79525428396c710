import { randomBytes } from "node:crypto";
import type { Files } from "../host/host.ts";

/** What of the host's files the store uses. */
export type StoreFiles = Pick<
  Files,
  | "freeBytes"
  | "hardLink"
  | "inspect"
  | "inspectFollowing"
  | "removeFile"
  | "rename"
  | "resolve"
  | "symbolicLink"
  | "writeText"
>;

/** Room for some hundred transactions: more than it takes to stop and remove what runs on a host. */
const BALLAST_BYTES = 512 * 1024;

/** With less than this left, no more is begun: what runs will want to write too. */
const LEAST_FREE_BYTES = 2 * 1024 * 1024;

/**
 * Room that is held back on the state's file system, for the time when there is no other: what is needed to end VMs is
 * then written in its place.
 */
export class Ballast {
  readonly #files: StoreFiles;
  readonly #directory: string;
  readonly #path: string;

  constructor(files: StoreFiles, directory: string) {
    this.#files = files;
    this.#directory = directory;
    this.#path = `${directory}/ballast`;
  }

  /** Takes the room, where there is enough. */
  ensure(): void {
    if (this.#files.inspect(this.#path) !== undefined) return;
    if (this.freeBytes < LEAST_FREE_BYTES + BALLAST_BYTES) return;
    // Not zeros, for which some file systems keep no room.
    const content = randomBytes(BALLAST_BYTES / 2).toString("hex");
    try {
      this.#files.writeText(this.#path, content, { mode: 0o600 });
    } catch {
      // Another process was faster, or the room is gone by now: either way there is nothing to hold back.
    }
  }

  /** Gives the room up; false where it was given up before. */
  release(): boolean {
    return this.#files.removeFile(this.#path);
  }

  /** Room that is left beside the ballast. */
  get freeBytes(): number {
    return this.#files.freeBytes(this.#directory);
  }

  /** Whether there is too little room to begin anything. */
  get isScarce(): boolean {
    return this.freeBytes < LEAST_FREE_BYTES;
  }
}
