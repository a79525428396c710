/** The parts of the configuration that open files of the jail: kernel, drives, vsock. */
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { dirname } from "node:path";
import { ERRNO, OsError, toOsError } from "../common/os-error.ts";
import type { Body } from "./bodies.ts";
import type { Translate } from "./jail.ts";
import { Refusal } from "./refusal.ts";

export type BootSource = Body<"bootSource">;
export type Drive = Body<"drive">;

/** The longest boot command line on x86-64. */
const MAX_BOOT_ARGS_BYTES = 2048;

/** `sun_path` with its NUL. */
const MAX_SOCKET_PATH_BYTES = 107;

/** How far into a kernel the ELF header and a marker may lie. */
const KERNEL_HEAD_BYTES = 65_536;
const ELF_HEADER_BYTES = 64;

/** Opens kernel and initrd at the call; the file that is booted later is the one found now. Returns the kernel. */
export function openKernel(source: BootSource, translate: Translate): number {
  const kernel = openFor(translate(source.kernel_image_path), "r", (error) => {
    const message = `The kernel file cannot be opened: ${error.display}`;
    return new Refusal("bootSource", message, `InvalidKernelPath(${error.debug})`);
  });
  if (source.initrd_path !== null) {
    const message = "The initrd file cannot be opened due to invalid path or invalid permissions.";
    const refuse = (error: OsError) =>
      new Refusal("bootSource", `${message} ${error.display}`, `InvalidInitrdPath(${error.debug})`);
    closeSync(openFor(translate(source.initrd_path), "r", refuse));
  }
  if (Buffer.byteLength(source.boot_args ?? "") >= MAX_BOOT_ARGS_BYTES) {
    const problem = "Invalid cmdline capacity provided.";
    throw new Refusal("bootSource", `The kernel command line is invalid: ${problem}`, "KernelCmdline(TooLarge)");
  }
  return kernel;
}

/** Reads the beginning of an ELF kernel. */
export function readKernel(kernel: number): Buffer {
  const head = Buffer.alloc(KERNEL_HEAD_BYTES);
  const length = readHead(kernel, head);
  if (length < ELF_HEADER_BYTES) throw kernelRefusal("Unable to read elf header", "ReadElfHeader");
  if (head.toString("latin1", 0, 4) !== "\x7fELF") {
    throw kernelRefusal("Invalid Elf magic number", "InvalidElfMagicNumber");
  }
  return head.subarray(0, length);
}

function readHead(kernel: number, head: Buffer): number {
  try {
    return readSync(kernel, head, 0, head.length, 0);
  } catch (error) {
    toOsError(error);
    return 0;
  }
}

function kernelRefusal(problem: string, variant: string): Refusal {
  const cause = "Cannot load kernel due to invalid memory configuration or invalid kernel image";
  const loader = "Kernel Loader: failed to load ELF kernel image: Kernel Loader";
  const message = `System configuration error: ${cause}: ${loader}: ${problem}`;
  return new Refusal("start", message, `ConfigureSystem(KernelLoader(Elf(${variant})))`);
}

/** A drive is a file, or a vhost-user socket with nothing that belongs to files. */
export function checkDrive(drive: Drive, translate: Translate): void {
  const { path_on_host: file, socket, rate_limiter: limiter, io_engine: engine, is_read_only: readOnly } = drive;
  if (file !== null && socket === null) checkDriveFile(file, readOnly === true, translate, "create");
  else if (socket !== null && file === null && limiter === null && engine === null && readOnly === null) {
    checkDriveSocket(socket, translate);
  } else throw driveRefusal("create", "Invalid block config.", "InvalidBlockConfig");
}

/** Opens a drive's file as Firecracker would. */
export function checkDriveFile(file: string, readOnly: boolean, translate: Translate, doing: "create" | "patch"): void {
  const handle = openFor(translate(file), readOnly ? "r" : "r+", (error) => {
    const problem = `Virtio backend error: ${backingFile(error, file)}`;
    const debug = `VirtioBackend(BackingFile(${error.debug}, ${JSON.stringify(file)}))`;
    return doing === "create" ? driveRefusal("create", problem, debug) : patchRefusal(problem);
  });
  closeSync(handle);
}

/** The words about a drive's file, which other messages quote. */
export function backingFile(error: OsError, file: string): string {
  return `Error manipulating the backing file: ${error.display} ${file}`;
}

export function patchRefusal(problem: string): Refusal {
  const end = "Please verify the request arguments.";
  return driveRefusal("patch", `Device manager error: ${problem} ${end}`, "DeviceUpdate");
}

function driveRefusal(doing: "create" | "patch", problem: string, debug: string): Refusal {
  const what = doing === "create" ? "create the virtio block device" : "patch the block device";
  return new Refusal("drive", `Unable to ${what}: ${problem}`, `CreateBlockDevice(${debug})`);
}

function checkDriveSocket(socket: string, translate: Translate): void {
  if (existsSync(translate(socket))) return;
  const problem = "Vhost-user error: Failed to connect to UDS Unix stream: No such file or directory (os error 2)";
  throw driveRefusal("create", `Vhost user backend error: ${problem}`, "VhostUserBackend(VhostUser(Connect))");
}

function openFor(path: string, flags: string, refuse: (error: OsError) => Refusal): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    throw refuse(toOsError(error));
  }
}

/** What went wrong with a listening socket, in both of Rust's forms. */
export interface BindProblem {
  readonly display: string;
  readonly debug: string;
  readonly isInUse: boolean;
}

/** Listens on a path of the jail, or says why not. The path as the jail sees it is what must fit into an address. */
export async function bind(server: Server, path: string, translate: Translate): Promise<BindProblem | undefined> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    const display = "path must be shorter than SUN_LEN";
    return { display, debug: `Error { kind: InvalidInput, message: "${display}" }`, isInUse: false };
  }
  const { promise, resolve } = Promise.withResolvers<BindProblem | undefined>();
  const onHost = translate(path);
  server.once("error", (error) => {
    const { errno, display, debug } = bindError(error, onHost);
    resolve({ display, debug, isInUse: errno === ERRNO.EADDRINUSE });
  });
  server.listen(onHost, () => resolve(undefined));
  return promise;
}

/** libuv says EACCES where the kernel says that the directory is not there. */
function bindError(thrown: Error, path: string): OsError {
  const error = toOsError(thrown);
  return error.errno === ERRNO.EACCES && !existsSync(dirname(path)) ? new OsError(ERRNO.ENOENT) : error;
}

/** The host's end of the guest's vsock. These guests have no driver: a connection gets no answer, ever. */
export class VsockSocket {
  #server: Server | undefined;

  /** Replaces an earlier socket, whose path is removed with it. */
  async open(path: string, translate: Translate): Promise<BindProblem | undefined> {
    await this.close();
    const server = createServer().unref();
    const problem = await bind(server, path, translate);
    if (problem === undefined) this.#server = server;
    return problem;
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    await promise;
  }
}

export function vsockRefusal(problem: BindProblem): Refusal {
  const message = "Cannot create backend for vsock device: Error binding to the host-side Unix socket";
  return new Refusal("vsock", `${message}: ${problem.display}`, `CreateVsockBackend(UnixBind(${problem.debug}))`);
}
