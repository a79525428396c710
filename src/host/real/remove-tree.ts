import * as fs from "node:fs";
import { unlink } from "node:fs/promises";
import { systemCodeOf, WarderError } from "../../vm/error.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;

/** Unlinking a file of this size frees so many blocks that it is worth a thread of its own. */
const LARGE_FILE_BYTES = 64 * 1024 * 1024;

/** Deeper than any jail of ours; an attacker may have nested more. */
const DEPTH_LIMIT = 512;

/**
 * Removes a tree that may belong to an attacker. Each directory is opened without following a link and held open while
 * it is emptied by way of `/proc/self/fd`, so that renaming things meanwhile leads nowhere else; what lies on another
 * file system is not entered (its mount point is reported). Returns whether something was there.
 */
export async function removeTree(path: string, signal?: AbortSignal): Promise<boolean> {
  const top = fs.lstatSync(path, { throwIfNoEntry: false });
  if (top === undefined) return false;
  if (!top.isDirectory()) {
    fs.unlinkSync(path);
    return true;
  }
  await removeDirectory(path, top.dev, 0, path, signal);
  return true;
}

/** Whoever still writes there, such as another manager the rest of a dead VM's output, makes a file or two. */
const ROUNDS = 10;

async function removeDirectory(
  path: string,
  device: number,
  depth: number,
  shown: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let round = 1; ; round++) {
    await emptyDirectory(path, device, depth, shown, signal);
    try {
      ignoringAbsence(() => fs.rmdirSync(path));
      return;
    } catch (error) {
      if (systemCodeOf(error) !== "ENOTEMPTY" || round === ROUNDS) throw error;
    }
  }
}

/** Somebody else may be removing the same: what is gone already is as it should be. */
function ignoringAbsence<Value>(act: () => Value): Value | undefined {
  try {
    return act();
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function emptyDirectory(
  path: string,
  device: number,
  depth: number,
  shown: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  if (depth > DEPTH_LIMIT) throw refusal(shown, `directories are nested more than ${DEPTH_LIMIT} deep`);
  const descriptor = ignoringAbsence(() => fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (descriptor === undefined) return;
  try {
    if (fs.fstatSync(descriptor).dev !== device) throw refusal(shown, "another file system is mounted there");
    const held = `/proc/self/fd/${descriptor}`;
    for (const entry of fs.readdirSync(held, { withFileTypes: true })) {
      const child = `${held}/${entry.name}`;
      if (entry.isDirectory()) {
        await removeDirectory(child, device, depth + 1, `${shown}/${entry.name}`, signal);
        await othersTurn();
      } else {
        await unlinkFile(child, entry.isFile());
      }
    }
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Nobody waits for a removal, but other VMs may be starting: each is a millisecond of this thread's time in one piece. */
function othersTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

async function unlinkFile(path: string, isFile: boolean): Promise<void> {
  const isLarge = isFile && (fs.lstatSync(path, { throwIfNoEntry: false })?.size ?? 0) >= LARGE_FILE_BYTES;
  if (!isLarge) return void ignoringAbsence(() => fs.unlinkSync(path));
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}

function refusal(path: string, why: string): WarderError {
  return new WarderError("cleanup-failed", {
    doing: `removing ${path}`,
    why,
    cure: `Look at it with \`findmnt -R ${path}\`, unmount what is there, and run \`warder gc\``,
  });
}
