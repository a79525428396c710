/** What the guests of a fake Firecracker do: chosen by a marker inside the kernel file. */

/**
 * - `hello`: prints a line, then resets: Firecracker ends with 0;
 * - `tick`: prints `tick` for ever;
 * - `idle`: prints a line, then sleeps for ever;
 * - `flood`: writes to the console as fast as it can;
 * - `panic`: prints a line, then dies of a triple fault: Firecracker ends with 0 all the same;
 * - `ctrl-alt-del`: prints a line and waits; Ctrl+Alt+Del resets it (all others ignore the keys);
 * - `probe`: what `warder`'s own probe guest prints, in 25 ms, then resets;
 * - `seccomp`: Firecracker is stopped at a forbidden system call: 148;
 * - `exit:<code>`: Firecracker ends with this code;
 * - `signal:<name>`: Firecracker is killed by this signal, like `signal:SIGKILL`.
 *
 * A real guest can do all but the last three, and `guestKernel` makes it, other than `probe`, which is larger.
 */
export type GuestBehaviour =
  | "hello"
  | "tick"
  | "idle"
  | "flood"
  | "panic"
  | "ctrl-alt-del"
  | "probe"
  | "seccomp"
  | `exit:${number}`
  | `signal:SIG${string}`;

/** What comes before the behaviour in a kernel file, which ends with a NUL byte. */
export const GUEST_MARKER = "warder-fake-guest:";

/** How far into a kernel file the marker is looked for: real kernels are large, and have none. */
const SEARCHED_BYTES = 65_536;

/** The behaviour that a kernel file asks for, if it carries a marker. */
export function markedBehaviour(kernel: Buffer): GuestBehaviour | undefined {
  const start = kernel.subarray(0, SEARCHED_BYTES).toString("latin1");
  const match = new RegExp(`${GUEST_MARKER}([a-z-]+(:[A-Za-z0-9]+)?)`).exec(start);
  return match?.[1] as GuestBehaviour | undefined;
}
