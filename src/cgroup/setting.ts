/** One value of one file of a VM's cgroup: what is written, and what the kernel then says. */
export interface CgroupSetting {
  /** Name of the control in a proof of isolation, such as `limit.memory`. */
  readonly control: string;
  /** Controller whose directory the file lies in: a key of `CgroupPlacement.directories`. */
  readonly controller: string;
  /** Name of the file, such as `memory.max`. */
  readonly file: string;
  /** What is written. */
  readonly value: string;
  /** What the file says once the kernel has taken the value. */
  readonly stored: Stored;
  /**
   * Who writes it: the jailer (`--cgroup file=value`), or the manager where the jailer can not. The jailer refuses a
   * value that holds `=`, and fails on a v1 file that is empty all the way up, as `blkio.throttle.*` is.
   */
  readonly carrier: "jailer" | "manager";
}

/**
 * What a file says once it was written.
 *
 * - `text`: the whole file, blanks at its ends aside.
 * - `line`: one line of a file that has one for each device; other words on that line do not matter.
 */
export type Stored =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "line"; readonly line: string };

/** What is expected of the file, for people. */
export function wantedText({ stored }: CgroupSetting): string {
  return stored.kind === "text" ? stored.text : stored.line;
}

/** Whether a file's text says that the setting holds. */
export function settingHolds({ stored }: CgroupSetting, text: string): boolean {
  if (stored.kind === "text") return text.trim() === stored.text;
  const line = lineFor(stored.line, text);
  return line !== undefined && missingWords(stored.line, line).length === 0;
}

/**
 * The settings that the jailer carries, as it takes them behind `--cgroup`: `file=value` each, in the order in which
 * they must be written.
 */
export function jailerCgroups(settings: readonly CgroupSetting[]): string[] {
  return settings.filter(({ carrier }) => carrier === "jailer").map(({ file, value }) => `${file}=${value}`);
}

/** The line that begins with the same device. */
function lineFor(wanted: string, text: string): string | undefined {
  const [device] = words(wanted);
  return text.split("\n").find((line) => words(line)[0] === device);
}

function missingWords(wanted: string, found: string): string[] {
  const there = new Set(words(found));
  return words(wanted).filter((word) => !there.has(word));
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
