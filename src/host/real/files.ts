import * as fs from "node:fs";
import { open, rmdir } from "node:fs/promises";
import { systemCodeOf, WarderError } from "../../vm/error.ts";
import { type HostPath, toHostPath } from "../../vm/path.ts";
import type { FileFacts, FileReader, Files, OutputLosses, Ownership } from "../host.ts";
import { lossesPath, parseLosses, RotatingFile } from "./bounded-file.ts";
import { copyFile } from "./copy.ts";
import { removeTree } from "./remove-tree.ts";

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
const DEFAULT_READ_LIMIT = 1024 * 1024;

/** The files of this machine. */
export const realFiles: Files = {
  inspect: (path) => facts(fs.lstatSync(path, { throwIfNoEntry: false })),
  inspectFollowing: (path) => facts(fs.statSync(path, { throwIfNoEntry: false })),
  resolve: (path): HostPath => toHostPath(fs.realpathSync.native(path)),
  readLink: (path) => fs.readlinkSync(path),
  list: (path) => fs.readdirSync(path).sort(),
  readText: (path, maxBytes = DEFAULT_READ_LIMIT) => readBounded(path, maxBytes, 0, (bytes) => bytes.toString("utf8")),
  readHead: (path, bytes) => readBounded(path, bytes, O_NOFOLLOW, (head) => Buffer.from(head)),
  openReader,
  writeText,
  writeStream,
  writeControl,
  writeControlAside,
  ensureDirectory,
  makeDirectory,
  hardLink: (from, to) => fs.linkSync(from, to),
  symbolicLink: (target, path) => fs.symlinkSync(target, path),
  rename: (from, to) => fs.renameSync(from, to),
  setOwnership,
  removeFile: (path) => ignoringAbsence(() => fs.unlinkSync(path)),
  removeDirectory,
  removeTree,
  copy: copyFile,
  freeBytes(path) {
    const { bavail, bsize } = fs.statfsSync(path);
    return bavail * bsize;
  },
  openBounded: (path, maxBytes) => new RotatingFile(path, maxBytes),
  lossesOf,
  watch(directory, onChange, signal) {
    const watcher = fs.watch(directory, { persistent: false, signal });
    watcher.on("change", (_event, name) => onChange(String(name)));
    // A watched directory that goes away is the owner's business, who sees it by other means.
    watcher.on("error", () => watcher.close());
  },
};

function facts(stat: fs.Stats | undefined): FileFacts | undefined {
  if (stat === undefined) return undefined;
  return {
    kind: kindOf(stat),
    device: stat.dev,
    inode: stat.ino,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    size: stat.size,
    links: stat.nlink,
    deviceNumber: formatDevice(stat.rdev),
    modifiedMs: stat.mtimeMs,
  };
}

function kindOf(stat: fs.Stats): FileFacts["kind"] {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "link";
  if (stat.isFIFO()) return "fifo";
  if (stat.isSocket()) return "socket";
  return stat.isCharacterDevice() ? "character" : "block";
}

/** glibc's `gnu_dev_major` and `gnu_dev_minor`. */
function formatDevice(rdev: number): string {
  const number = BigInt(rdev);
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn);
  const minor = (number & 0xffn) | ((number >> 12n) & ~0xffn);
  return `${major}:${minor}`;
}

/**
 * Where files are read to before they become text: a start reads some seventy of the kernel's small files, and a new
 * buffer for each costs more than the reading. Shared is safe, as nothing else runs between a read and its use.
 */
const scratch = Buffer.allocUnsafeSlow(64 * 1024);

/** Reads at most `maxBytes` and hands them to `use`, which must not keep them. */
function readBounded<Result>(path: string, maxBytes: number, flags: number, use: (bytes: Buffer) => Result): Result {
  const descriptor = fs.openSync(path, O_RDONLY | O_NONBLOCK | flags);
  try {
    const buffer = maxBytes <= scratch.length ? scratch.subarray(0, maxBytes) : scratch;
    const size = readUntilFull(descriptor, buffer);
    if (size < scratch.length || size === maxBytes) return use(buffer.subarray(0, size));
    const chunks = [Buffer.from(buffer)];
    for (let total = size; total < maxBytes; ) {
      const chunk = Buffer.allocUnsafe(Math.min(scratch.length, maxBytes - total));
      const count = readUntilFull(descriptor, chunk);
      chunks.push(chunk.subarray(0, count));
      total += count;
      if (count < chunk.length) break;
    }
    return use(Buffer.concat(chunks));
  } finally {
    fs.closeSync(descriptor);
  }
}

/** The kernel's own files say they are empty, and give what they have in pieces: read until the end, not the size. */
function readUntilFull(descriptor: number, buffer: Buffer): number {
  let total = 0;
  while (total < buffer.length) {
    const count = fs.readSync(descriptor, buffer, total, buffer.length - total, null);
    if (count === 0) break;
    total += count;
  }
  return total;
}

function lossesOf(path: string): OutputLosses {
  const counted = lossesPath(path);
  const isThere = fs.lstatSync(counted, { throwIfNoEntry: false })?.isFile() === true;
  return parseLosses(isThere ? readBounded(counted, 64, O_NOFOLLOW, (bytes) => bytes.toString("latin1")) : "");
}

function openReader(path: string): FileReader {
  const descriptor = fs.openSync(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  return {
    inode: fs.fstatSync(descriptor).ino,
    read(offset, bytes) {
      const slice = Buffer.allocUnsafe(bytes);
      return slice.subarray(0, fs.readSync(descriptor, slice, 0, bytes, offset));
    },
    close: () => fs.closeSync(descriptor),
  };
}

async function writeStream(path: string, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  const file = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    await file.writeFile(source, { signal });
  } finally {
    await file.close();
  }
}

function writeText(path: string, text: string, options: Ownership & { readonly replace?: boolean }): void {
  const target = options.replace === true ? `${path}.new-${process.pid}` : path;
  // One of a process that died while it wrote: in a container every manager has the same pid.
  if (options.replace === true) fs.rmSync(target, { force: true });
  const descriptor = fs.openSync(target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, options.mode);
  try {
    fs.writeFileSync(descriptor, text);
    fs.fchmodSync(descriptor, options.mode);
    if (options.uid !== undefined && options.gid !== undefined) fs.fchownSync(descriptor, options.uid, options.gid);
    if (options.replace === true) fs.fsyncSync(descriptor);
  } catch (error) {
    fs.unlinkSync(target);
    throw error;
  } finally {
    fs.closeSync(descriptor);
  }
  if (options.replace === true) fs.renameSync(target, path);
}

function writeControl(path: string, text: string): void {
  const descriptor = fs.openSync(path, O_WRONLY | O_NOFOLLOW);
  try {
    fs.writeSync(descriptor, text);
  } finally {
    fs.closeSync(descriptor);
  }
}

function writeControlAside(path: string, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const descriptor = fs.openSync(path, O_WRONLY | O_NOFOLLOW);
    fs.write(descriptor, text, (error) => {
      fs.closeSync(descriptor);
      if (error === null) resolve();
      else reject(error);
    });
  });
}

function ensureDirectory(path: string, ownership: Ownership): boolean {
  // Looked for first: it mostly is there, and an error costs fifty times as much as a look.
  if (isDirectory(path)) return false;
  try {
    makeDirectory(path, ownership);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    // Somebody else was faster.
    if (isDirectory(path)) return false;
    throw new WarderError("jail-exists", { doing: `making the directory ${path}`, why: "something else lies there" });
  }
}

function isDirectory(path: string): boolean {
  return fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function makeDirectory(path: string, ownership: Ownership): void {
  fs.mkdirSync(path, ownership.mode);
  setOwnership(path, ownership);
}

function setOwnership(path: string, ownership: Ownership): void {
  const descriptor = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    if (ownership.uid !== undefined && ownership.gid !== undefined)
      fs.fchownSync(descriptor, ownership.uid, ownership.gid);
    // After the owner: a change of owner takes the set-id bits away.
    fs.fchmodSync(descriptor, ownership.mode);
  } finally {
    fs.closeSync(descriptor);
  }
}

async function removeDirectory(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return false;
    throw error;
  }
}

function ignoringAbsence(remove: () => void): boolean {
  try {
    remove();
    return true;
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return false;
    throw error;
  }
}
