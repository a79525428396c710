import { constants } from "node:fs";
import { type FileHandle, copyFile as nodeCopyFile, open, unlink } from "node:fs/promises";
import type { Ownership } from "../host.ts";

const CHUNK_BYTES = 4 * 1024 * 1024;

/**
 * Copies a file: as a reflink where the file system can, which costs no time and no room, else byte by byte, holes
 * left out. A file opened without following a link stays the same file whatever happens to its name meanwhile.
 */
export async function copyFile(from: string, to: string, ownership: Ownership, signal?: AbortSignal): Promise<void> {
  const source = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!(await reflink(source, to))) await copyBytes(source, to, signal);
    await adopt(to, ownership);
  } catch (error) {
    await unlink(to).catch(() => undefined);
    throw error;
  } finally {
    await source.close();
  }
}

/** False where the file system can not: the caller copies then. */
async function reflink(source: FileHandle, to: string): Promise<boolean> {
  try {
    await nodeCopyFile(`/proc/self/fd/${source.fd}`, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw error;
    await unlink(to).catch(() => undefined);
    return false;
  }
}

async function copyBytes(source: FileHandle, to: string, signal: AbortSignal | undefined): Promise<void> {
  const target = await open(
    to,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o600,
  );
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    let position = 0;
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await source.read(chunk, 0, chunk.length, position);
      if (bytesRead === 0) break;
      const part = chunk.subarray(0, bytesRead);
      if (!isZero(part)) await writeAll(target, part, position);
      position += bytesRead;
    }
    await target.truncate(position);
  } finally {
    await target.close();
  }
}

async function writeAll(target: FileHandle, part: Buffer, position: number): Promise<void> {
  for (let done = 0; done < part.length; ) {
    const { bytesWritten } = await target.write(part, done, part.length - done, position + done);
    done += bytesWritten;
  }
}

function isZero(part: Buffer): boolean {
  return part[0] === 0 && part.compare(part, 0, part.length - 1, 1, part.length) === 0;
}

async function adopt(path: string, ownership: Ownership): Promise<void> {
  const target = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    if (ownership.uid !== undefined && ownership.gid !== undefined) await target.chown(ownership.uid, ownership.gid);
    await target.chmod(ownership.mode);
  } finally {
    await target.close();
  }
}
