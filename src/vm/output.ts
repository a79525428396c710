/** What is kept of an output of a VM, and what was lost of it. */
export interface OutputView {
  /** Most bytes that are kept: the newest. */
  readonly limitBytes: number;
  /** Bytes that are not kept any more, or could not be written. */
  readonly droppedBytes: number;
  /** How often a manager came back to output that had overflowed: how much was lost then is not known. */
  readonly gaps: number;
}

/** The guest's serial port, and Firecracker's log. */
export interface OutputViews {
  readonly console: OutputView;
  readonly log: OutputView;
}
