/** A place for one case: a directory, an id, and everything that is started with them; all gone when the case is over. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import type { TestContext } from "node:test";
import { request } from "./api.ts";
import { type End, killAll, type Running, start } from "./running.ts";
import { makeDirectory, type RealGuest, type Subject } from "./subject.ts";
import { until } from "./until.ts";

/** How a run ended, with what it said. */
export interface Result extends End {
  readonly stdout: string;
  readonly stderr: string;
}

/** What a process is started in. */
interface Surroundings {
  /** A network namespace of its own, where the process may make one. */
  readonly ownNetwork?: boolean;
}

type Flags = Readonly<Record<string, string | undefined>>;

/** The place of one case. */
export class Bench {
  readonly subject: Subject;
  readonly directory: string;
  /** Base of the jails; a directory of its own, so that all of it is the jailer's work. */
  readonly jails: string;
  readonly id = `conformance-${randomBytes(6).toString("hex")}`;
  readonly parentCgroup = `warder-${this.id}`;

  constructor(subject: Subject, context: TestContext) {
    this.subject = subject;
    this.directory = makeDirectory(subject);
    this.jails = join(this.directory, "jails");
    context.after(() => this.#clean());
    mkdirSync(this.jails);
    this.#openUp(this.directory, this.jails);
  }

  /** Somebody else who starts the processes must be able to write here. */
  #openUp(...paths: string[]): void {
    chmodSync(this.directory, 0o755);
    const { startAs } = this.subject;
    if (startAs !== undefined) for (const path of paths) chownSync(path, startAs.uid, startAs.gid);
  }

  async #clean(): Promise<void> {
    await killAll(this.id);
    await this.#removeCgroups();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** A cgroup can be removed once its last process is reaped. */
  async #removeCgroups(): Promise<void> {
    const { cgroupV1, cgroupV2 } = this.subject;
    const roots = [...(cgroupV1 ? ["cpu", "memory", "pids", "cpuset"].map(cgroupV1) : []), cgroupV2 ?? ""];
    const parents = roots.map((root) => join(root, this.parentCgroup)).filter((path) => existsSync(path));
    for (const path of parents.flatMap((parent) => [join(parent, this.id), parent])) {
      await until(`${path} is removed`, () => removeCgroup(path));
    }
  }

  get executable(): string {
    return basename(this.subject.firecracker);
  }

  /** The jail on the host. */
  get root(): string {
    return join(this.jails, this.executable, this.id, "root");
  }

  inJail(path: string): string {
    return join(this.root, path);
  }

  get pidFile(): string {
    return this.inJail(`${this.executable}.pid`);
  }

  get jailSocket(): string {
    return this.inJail("run/firecracker.socket");
  }

  /** The flags that every jail needs; others replace or, undefined, remove them. */
  jailerArguments(flags: Flags = {}, rest: readonly string[] = []): string[] {
    const all: Flags = {
      id: this.id,
      "exec-file": this.subject.firecracker,
      uid: String(this.subject.uid),
      gid: String(this.subject.gid),
      "chroot-base-dir": this.jails,
      ...flags,
    };
    const given = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]));
    return [...given, ...rest];
  }

  startJailer(argv: readonly string[], extra?: number): Running {
    return start(this.subject, this.subject.jailer, argv, { directory: this.directory, extra });
  }

  startFirecracker(argv: readonly string[], stdout?: number, { ownNetwork = false }: Surroundings = {}): Running {
    const [program = "", ...rest] = [...(ownNetwork ? this.#inOwnNetwork() : []), this.subject.firecracker];
    const named = [...rest, "--id", this.id, ...argv];
    return start(this.subject, program, named, { directory: this.directory, stdout });
  }

  /** TAPs that a real Firecracker makes are gone with it, and seen by nobody meanwhile. */
  #inOwnNetwork(): string[] {
    return this.subject.startAs === undefined ? ["/usr/bin/unshare", "--net"] : [];
  }

  /** Runs the jailer to its end. */
  async jailer(argv: readonly string[]): Promise<Result> {
    return finish(this.startJailer(argv));
  }

  /** Runs the jailer with the usual flags, for a Firecracker that only prints its version. */
  async jailVersion(flags: Flags = {}, rest: readonly string[] = []): Promise<Result> {
    return this.jailer(this.jailerArguments(flags, [...rest, "--", "--version"]));
  }

  /** Runs Firecracker to its end, with these arguments alone. */
  async firecracker(argv: readonly string[]): Promise<Result> {
    return this.run(this.subject.firecracker, argv);
  }

  /** Runs any program to its end. */
  async run(program: string, argv: readonly string[]): Promise<Result> {
    return finish(start(this.subject, program, argv, { directory: this.directory }));
  }

  /** Waits until an API answers on a socket. */
  async ready(running: Running, socket: string): Promise<void> {
    await until(`an API on ${socket}`, async () => {
      if (!running.isAlive) throw new Error(`It ended: ${running.stdout}${running.stderr}`);
      return existsSync(socket) && (await answers(socket));
    });
  }

  /** A Firecracker without a jail, its API ready on `api.socket`. */
  async startApi(
    argv: readonly string[] = [],
    surroundings: Surroundings = {},
  ): Promise<{ running: Running; socket: string }> {
    const socket = this.path("api.socket");
    const running = this.startFirecracker(["--api-sock", socket, ...argv], undefined, surroundings);
    await this.ready(running, socket);
    return { running, socket };
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Writes a file that the jailed user can read and write. */
  write(path: string, content: string | Uint8Array): string {
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, content);
    chmodSync(path, 0o666);
    this.#openUp(path, ...(path.startsWith(this.jails) ? this.#jailDirectories() : []));
    return path;
  }

  #jailDirectories(): string[] {
    return [join(this.jails, this.executable), join(this.jails, this.executable, this.id), this.root];
  }

  /** Writes a kernel and the configuration that boots it; `prefix` is what Firecracker sees before the kernel's name. */
  writeConfig(directory: string, guest: RealGuest, prefix = directory): string {
    this.write(join(directory, "kernel"), this.subject.kernel(guest));
    return this.write(join(directory, "config.json"), configText(join(prefix, "kernel")));
  }

  fifo(path: string): string {
    spawnSync("mkfifo", [path]);
    chmodSync(path, 0o666);
    this.#openUp(path);
    return path;
  }

  /** A pid file's pid, once it is complete. */
  async pid(): Promise<number> {
    return until("a pid in the pid file", () => {
      const text = existsSync(this.pidFile) ? readFileSync(this.pidFile, "utf8") : "";
      return /^\d+$/.test(text) && Number(text);
    });
  }
}

export function configText(kernel: string, more: Readonly<Record<string, unknown>> = {}): string {
  const machine = { vcpu_count: 1, mem_size_mib: 64 };
  return JSON.stringify({
    "boot-source": { kernel_image_path: kernel },
    "machine-config": machine,
    drives: [],
    ...more,
  });
}

async function finish(running: Running): Promise<Result> {
  const end = await running.end();
  return { ...end, stdout: running.stdout, stderr: running.stderr };
}

async function answers(socket: string): Promise<boolean> {
  try {
    return (await request(socket, "GET", "/version")).status === 200;
  } catch {
    // It is bound, and does not listen yet.
    return false;
  }
}

function removeCgroup(path: string): boolean {
  if (!existsSync(path)) return true;
  try {
    // A stand-in's files have to be removed first; a kernel's vanish with the directory.
    if (!path.startsWith("/sys/")) rmSync(path, { recursive: true });
    else rmdirSync(path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EBUSY") return false;
    throw error;
  }
}

/** Reads what a FIFO or file holds now, without waiting. */
export function drain(file: number): string {
  const buffer = Buffer.alloc(65_536);
  let text = "";
  for (;;) {
    try {
      const length = readSync(file, buffer);
      if (length === 0) return text;
      text += buffer.toString("latin1", 0, length);
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EAGAIN") return text;
      throw error;
    }
  }
}

/** Opens a FIFO for both ends, so that it has a reader and a writer whoever else comes and goes. */
export function holdFifo(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
}

export function closeAll(...files: readonly number[]): void {
  for (const file of files) closeSync(file);
}
