import * as fs from "node:fs";

/**
 * A directory that is held open. Names in it are reached through the descriptor: it stays the same directory whatever
 * becomes of its own name, and the paths are short, where a Unix socket's path has room for 107 bytes.
 */
export class DirectoryHandle implements Disposable {
  readonly #descriptor: number;
  #isOpen = true;

  private constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Opens a directory, which must not be a link. */
  static open(path: string): DirectoryHandle {
    const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
    return new DirectoryHandle(fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  }

  /** A path of a name in it, as long as it is open. */
  pathOf(name: string): string {
    return `/proc/self/fd/${this.#descriptor}/${name}`;
  }

  /** Closes it, once: its number may be another file's by the second time. */
  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    fs.closeSync(this.#descriptor);
  }
}
