import * as fs from "node:fs";
import type { BoundedFile } from "../host.ts";

const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = fs.constants;

/** Two files of half the limit each; when the newer one is full it takes the place of the older one. */
export class RotatingFile implements BoundedFile {
  readonly #path: string;
  readonly #half: number;
  #descriptor: number | undefined;
  #size = 0;
  #dropped = 0;

  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#half = Math.max(1, Math.floor(maxBytes / 2));
  }

  get droppedBytes(): number {
    return this.#dropped;
  }

  append(chunk: Uint8Array): void {
    let rest = chunk;
    if (rest.length > this.#half) {
      this.#dropped += rest.length - this.#half;
      rest = rest.subarray(rest.length - this.#half);
    }
    const descriptor = this.#size + rest.length > this.#half ? this.#rotate() : this.#open();
    fs.writeSync(descriptor, rest);
    this.#size += rest.length;
  }

  close(): void {
    if (this.#descriptor === undefined) return;
    fs.closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #open(): number {
    if (this.#descriptor === undefined) {
      this.#descriptor = fs.openSync(this.#path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o640);
      this.#size = fs.fstatSync(this.#descriptor).size;
    }
    return this.#descriptor;
  }

  #rotate(): number {
    if (this.#open() !== undefined && this.#size > 0) {
      this.close();
      const older = `${this.#path}.1`;
      this.#dropped += fs.lstatSync(older, { throwIfNoEntry: false })?.size ?? 0;
      fs.renameSync(this.#path, older);
    }
    return this.#open();
  }
}
