/** What one run of the fake jailer carries along: the release it models, its rights, and the record it writes. */
import type { JailAction } from "../common/records.ts";
import type { Release } from "../common/release.ts";

/** The surroundings of one run. */
export class JailContext {
  readonly release: Release;
  /** Whether actions that need root are done, or only written down. */
  readonly privileged: boolean;
  readonly #actions: (JailAction & { done: boolean })[] = [];

  constructor(release: Release, privileged: boolean) {
    this.release = release;
    this.privileged = privileged;
  }

  get actions(): readonly (JailAction & { done: boolean })[] {
    return this.#actions;
  }

  /** Writes an action down, and does it if this run may. */
  perform(action: JailAction, doIt: () => void): void {
    this.#actions.push({ ...action, done: this.privileged });
    if (this.privileged) doIt();
  }

  /** Writes down an action that is done with any rights, or done later on the way into Firecracker. */
  note(action: JailAction, done = true): void {
    this.#actions.push({ ...action, done });
  }
}
