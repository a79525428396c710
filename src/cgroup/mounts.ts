/** One line of `/proc/<pid>/mounts`. */
export interface MountLine {
  readonly path: string;
  readonly type: string;
  readonly options: readonly string[];
}

/**
 * Parses `/proc/<pid>/mounts` (see fstab(5)). Total: a line that is not one is left out. Blanks, tabs, newlines and
 * backslashes in paths are octal escapes there.
 */
export function parseMounts(text: string): MountLine[] {
  return text.split("\n").flatMap((line) => {
    const [, path, type, options] = line.split(" ");
    if (path === undefined || type === undefined || options === undefined || !path.startsWith("/")) return [];
    return [{ path: unescapeOctal(path), type, options: options.split(",") }];
  });
}

/** `\040` is a blank, as the kernel writes it. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-3][0-7]{2})/g, (_match, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
