import type { Readable } from "node:stream";
import type { HostPath } from "../vm/path.ts";
import type { ProcessExit, ProcessIdentity } from "../vm/process.ts";
import type { Streams } from "./streams.ts";

/**
 * The kernel, as far as Warder uses it. The only way to files, processes, commands, sockets and time: what is not here
 * is not done. Passed in everywhere, so that a directory can be a host in tests.
 */
export interface Host {
  readonly roots: Roots;
  readonly files: Files;
  readonly fifos: Fifos;
  readonly processes: Processes;
  readonly commands: Commands;
  readonly sockets: Sockets;
  readonly streams: Streams;
  readonly clock: Clock;
}

/** Where the kernel's file systems are mounted. Other directories in tests. */
export interface Roots {
  /** `/proc` */
  readonly proc: string;
  /** `/sys` */
  readonly sys: string;
  /** `/dev` */
  readonly dev: string;
}

/** What `lstat` tells, of the thing itself unless it was asked to follow links. */
export interface FileFacts {
  readonly kind: "file" | "directory" | "link" | "fifo" | "socket" | "character" | "block";
  readonly device: number;
  readonly inode: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly links: number;
  /** `major:minor` of a device node's device. */
  readonly deviceNumber: string;
  readonly modifiedMs: number;
}

/** Owner and mode of something that is made. */
export interface Ownership {
  /** Permission bits, whatever the umask is. */
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Files. The methods that take microseconds are synchronous, on purpose: a hop through a thread pool costs more than
 * the system call and would add up to milliseconds in a start. What moves a user's data is asynchronous.
 */
export interface Files {
  /** Facts of the thing itself, no link followed; `undefined` where nothing is there. */
  inspect(path: string): FileFacts | undefined;
  /** Facts of what a link leads to; `undefined` where nothing is there. */
  inspectFollowing(path: string): FileFacts | undefined;
  /** The path with every symbolic link resolved. */
  resolve(path: string): HostPath;
  readLink(path: string): string;
  /** Names in a directory, sorted. */
  list(path: string): string[];
  /** Text of a small file of the kernel's or our own. Reads at most `maxBytes` (default 1 MiB). */
  readText(path: string, maxBytes?: number): string;
  /** First bytes of a file; opened without following a link at its end. */
  readHead(path: string, bytes: number): Uint8Array;
  /** Holds a file open for reading: it stays the same one whatever becomes of its name. No link at its end is followed. */
  openReader(path: string): FileReader;
  /** Creates a file, which must not exist, or replaces it as a whole (`replace`: through a temporary file and rename). */
  writeText(path: string, text: string, options: Ownership & { readonly replace?: boolean }): void;
  /** Writes a new file, for its owner alone (mode 0600), from bytes as they come. What was written stays where it fails. */
  writeStream(path: string, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  /** Writes to a file that is there: a file of `/sys` or `/proc`. */
  writeControl(path: string, text: string): void;
  /** The same in a thread of its own, begun before this returns: for what takes the kernel milliseconds. */
  writeControlAside(path: string, text: string): Promise<void>;
  /** Makes a directory; true where it was made, false where a directory was there (which is then left as it is). */
  ensureDirectory(path: string, ownership: Ownership): boolean;
  /** Makes a directory, which must not exist. */
  makeDirectory(path: string, ownership: Ownership): void;
  hardLink(from: string, to: string): void;
  symbolicLink(target: string, path: string): void;
  rename(from: string, to: string): void;
  /** Owner and mode of a file or directory, which must not be a link. */
  setOwnership(path: string, ownership: Ownership): void;
  /** Removes a file, link, FIFO or socket; false where nothing was there. */
  removeFile(path: string): boolean;
  /**
   * Removes an empty directory; false where nothing was there. In a thread of its own: a cgroup of version 1 can keep
   * its remover waiting for milliseconds.
   */
  removeDirectory(path: string): Promise<boolean>;
  /**
   * Removes a tree: on one file system, following no link, holding each directory open while it is emptied, so that
   * whoever owns the tree can not lead the removal elsewhere. Returns whether something was there.
   */
  removeTree(path: string, signal?: AbortSignal): Promise<boolean>;
  /** Copies a file, as a reflink where the file system can. `to` must not exist; no link at the end of `from` is followed. */
  copy(from: string, to: string, ownership: Ownership, signal?: AbortSignal): Promise<void>;
  /** Room left for ordinary use. */
  freeBytes(path: string): number;
  /**
   * Opens a file for appending that is cut in two halves, `path` and the older `path.1`, of `maxBytes` together. Made
   * with the first byte.
   */
  openBounded(path: string, maxBytes: number): BoundedFile;
  /** What was lost of a bounded file so far, whoever wrote it. */
  lossesOf(path: string): OutputLosses;
  /** Watches a directory until the signal fires: `onChange` gets the name of what changed. */
  watch(directory: string, onChange: (name: string) => void, signal: AbortSignal): void;
}

/** A file that is held open. */
export interface FileReader {
  /** Not used again for another file as long as this one is held open. */
  readonly inode: number;
  /** At most `bytes` from an offset on; none at the end. */
  read(offset: number, bytes: number): Uint8Array;
  close(): void;
}

/** FIFOs, which carry consoles and logs: they outlive a manager, and drop instead of growing. */
export interface Fifos {
  /** Makes FIFOs of which none may exist, in one go, owned by this process and for nobody else (mode 0600). */
  make(paths: readonly string[]): Promise<void>;
  /** Owner and mode of a FIFO whose name nobody else can change. */
  setOwnership(path: string, ownership: Ownership): void;
  /** Reads a FIFO until no writer is left. Never blocks anything. */
  read(path: string): Readable;
  /**
   * Opens a FIFO for writing, never waiting: `undefined` where no process has opened the other end yet. From then on
   * the reader waits for data.
   */
  openWriter(path: string): number | undefined;
  /** Writes all of `text`, which must fit into a FIFO (64 KiB), and closes the descriptor. */
  send(descriptor: number, text: string): void;
  close(descriptor: number): void;
}

/** What of an output was lost. */
export interface OutputLosses {
  /** Bytes that were let go of, as newer ones took their place, or could not be written. */
  readonly droppedBytes: number;
  /** How often bytes were lost that nobody could count: before anybody read them. */
  readonly gaps: number;
}

/** A file that never grows over a limit: the newest bytes are kept, in two halves. Written a few milliseconds late. */
export interface BoundedFile {
  /** Never throws and never waits; what can not be written shows in `error`. */
  append(chunk: Uint8Array): void;
  /** Says that before what comes next an unknown number of bytes was lost. */
  noteGap(): void;
  /** Bytes that are not in the file any more; those of earlier writers too, once something was written. */
  readonly droppedBytes: number;
  /** Why the last bytes were not written, such as a full disk. It is tried again with those that come. */
  readonly error: unknown;
  /** Writes what waits to be written; settles when it is. */
  flush(): Promise<void>;
  /** Settles when everything is written. */
  close(): Promise<void>;
}

/** What is started, and with what. Standard input is always `/dev/null`. */
export interface SpawnRequest {
  readonly file: HostPath;
  /** No word may hold a newline. */
  readonly args: readonly string[];
  /**
   * Standard output and error: a FIFO, or another file that is there. Opened for reading and writing, so that the
   * program never meets a closed pipe.
   */
  readonly output: string;
  /** Where the exit status is written down when the program has ended, for whom this process does not live to tell. */
  readonly exitFile?: string;
}

/** How a program ended, as it was written down. */
export interface RecordedExit extends ProcessExit {
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** A program that was started here. It goes on when this process ends. */
export interface Child {
  readonly pid: number;
  /** Taken right after the start; `undefined` where the process had ended by then. */
  readonly identity: ProcessIdentity | undefined;
  /** Settles once the process has been reaped; never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Lets this process end although the child runs. */
  unref(): void;
}

/** A program that is to outlive this process. */
export interface BackgroundRequest {
  readonly file: HostPath;
  readonly args: readonly string[];
  /** The whole of it: what this process has in its own may be secret, and is not for a process that stays. */
  readonly environment: Readonly<Record<string, string>>;
  /** Written to its standard input, which then ends. */
  readonly input: string;
}

/** A program that was started to outlive this process. */
export interface Background {
  readonly pid: number;
  /** Taken right after the start; `undefined` where the process had ended by then. */
  readonly identity: ProcessIdentity | undefined;
  /** The first line of its standard output; `undefined` where that ended without one. */
  readonly answer: Promise<string | undefined>;
  /** Settles once it has been reaped; never, where this process ends before. */
  readonly exited: Promise<ProcessExit>;
  /** What it has written to standard error so far, at most 8 KiB. */
  readonly complaints: string;
  /** Lets go of it: this process may end, and what the other writes from now on goes nowhere. */
  release(): void;
}

/** Processes. Nothing here believes a bare pid. */
export interface Processes {
  /** Gives back what {@link spawn} needs. Programs go on; their ends are not told any more. */
  endSpawning(): void;
  /** Makes ready what {@link spawn} needs, so that the first program starts as fast as the others. */
  prepareToSpawn(): void;
  /** Starts a program with an empty environment, umask 022 and `/` as its directory, out of reach of a terminal's signals. */
  spawn(request: SpawnRequest): Promise<Child>;
  /**
   * Starts a program in a session of its own with `/` as its directory, so that nothing of this process's terminal,
   * groups or mounts is held by it.
   */
  spawnBackground(request: BackgroundRequest): Promise<Background>;
  /**
   * Closes what the starter of this process has left open in it beside its standard streams, for a process that stays:
   * a lock or a pipe that is held by it would never be let go.
   */
  closeInherited(): void;
  /** Who a pid is now; `undefined` where there is no such process, or only a zombie is left of it. */
  identify(pid: number): ProcessIdentity | undefined;
  /** This process. */
  readonly self: ProcessIdentity;
  readonly effectiveUid: number;
  /** Whether the very process still runs. */
  isAlive(identity: ProcessIdentity): boolean;
  /** Sends a signal to the very process; false where it has ended. */
  signal(identity: ProcessIdentity, signal: NodeJS.Signals): boolean;
  /**
   * How the program ended that was started as this pid with this exit file, by whatever process; `undefined` where it has
   * not, where whoever keeps its status was killed, and for some microseconds after its end.
   */
  exitOf(exitFile: string, pid: number): RecordedExit | undefined;
  /** Settles when the very process has ended. For processes that are not children. */
  waitForEnd(identity: ProcessIdentity, signal: AbortSignal): Promise<void>;
}

/** A run of one of the system's tools. */
export interface CommandRequest {
  readonly tool: string;
  readonly args: readonly string[];
  readonly input?: string;
  /** Default 10 000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What a tool printed. */
export interface CommandOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/** The system's tools. */
export interface Commands {
  /** Absolute path of a tool, which may be one already, from `PATH` and the directories of system tools; `undefined` where it is not there. */
  find(tool: string): HostPath | undefined;
  /** Runs a tool in the C locale; rejects with `tool-missing` or `tool-failed`, whose text has argv and output. */
  run(request: CommandRequest): Promise<CommandOutput>;
}

/** One HTTP exchange over a Unix socket. */
export interface HttpRequest {
  readonly method: "GET" | "PUT" | "PATCH" | "DELETE" | "POST";
  readonly path: string;
  /** Sent as JSON with its Content-Length. */
  readonly body?: unknown;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** The answer; its body is cut off beyond 1 MiB with an error. */
export interface HttpResponse {
  readonly status: number;
  readonly body: string;
}

/** A client that holds at most one connection. */
export interface HttpClient {
  request(request: HttpRequest): Promise<HttpResponse>;
  close(): void;
}

/** Unix sockets. */
export interface Sockets {
  /** A client for one socket. Paths of over 107 bytes are refused with `socket-path-too-long`. */
  http(socketPath: HostPath): HttpClient;
}

/** Time. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Nanoseconds since 1970, as fine as the system has them. */
  nowNanoseconds(): bigint;
  /** Milliseconds, with fractions, on a clock that never jumps. */
  monotonic(): number;
  /** Rejects with the signal's reason when it fires. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}
