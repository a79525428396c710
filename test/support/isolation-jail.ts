import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { basename, join } from "node:path";
import { openHost } from "../../src/host/real/host.ts";
import type { WantedIsolation } from "../../src/isolation/wanted.ts";
import { toVmId } from "../../src/vm/id.ts";
import { toHostPath } from "../../src/vm/path.ts";
import type { ProcessIdentity } from "../../src/vm/process.ts";
import { type RealBinaries, realBinaries } from "./capability-probes.ts";
import type { Deviation } from "./isolation-deviation.ts";
import {
  apiState,
  type Controller,
  cgroupLimits,
  cgroupVersion,
  controllers,
  identify,
  mountOf,
  NAME_PREFIX,
  openWriter,
  removeCgroup,
  waitUntil,
} from "./isolation-machine.ts";

const ID = "vm-1";
const UID = 61_234;
const OPEN_FILES = 1000;
const guests = join(import.meta.dirname, "../../guests");
const { O_RDONLY, O_RDWR, O_NONBLOCK } = fs.constants;

/** A real Firecracker that waits for its configuration, started in the real jailer by hand, without Warder. */
export class HeldFirecracker implements AsyncDisposable {
  readonly host = openHost();
  readonly root: string;
  readonly #base: string;
  readonly #directory: string;
  readonly #execName: string;
  /** Of the parent cgroup and of the network namespace. */
  readonly #name: string;
  readonly #deviation: Deviation;
  readonly #programs: RealBinaries;
  /** Whatever fails in between: each thing that was made is removed, the latest first. */
  readonly #cleanup = new AsyncDisposableStack();
  #child: ChildProcess | undefined;
  #process: ProcessIdentity | undefined;
  #config: number | undefined;

  private constructor(deviation: Deviation) {
    const programs = realBinaries();
    if (programs === undefined) throw new Error("no Firecracker and jailer here");
    this.#programs = programs;
    this.#execName = basename(fs.realpathSync(programs.firecracker));
    // Not in the directory for temporary files, which may be mounted without devices.
    fs.mkdirSync("/srv", { recursive: true });
    this.#base = fs.mkdtempSync(`/srv/${NAME_PREFIX}`);
    this.#cleanup.defer(() => fs.rmSync(this.#base, { recursive: true }));
    this.#name = basename(this.#base);
    this.#directory = join(this.#base, this.#execName, ID);
    this.root = join(this.#directory, "root");
    this.#deviation = deviation;
  }

  static async start(deviation: Deviation = {}): Promise<HeldFirecracker> {
    const held = new HeldFirecracker(deviation);
    try {
      held.#stage();
      await held.#spawn();
      return held;
    } catch (error) {
      await held[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The jail's copy of Firecracker. */
  get executable(): string {
    return join(this.root, this.#execName);
  }

  get process(): ProcessIdentity {
    if (this.#process === undefined) throw new Error("not started");
    return this.#process;
  }

  /** Directory of a controller's cgroup. */
  cgroup(controller: Controller): string {
    return join(mountOf(controller), this.#name, ID);
  }

  /** What a manager would have asked for, whatever was then done. */
  wanted(): WantedIsolation {
    const { netns, newPidNamespace = false, jailed = true } = this.#deviation;
    const rootIdentity = identify(this.root);
    const directories = Object.fromEntries(controllers.map((name) => [name, toHostPath(this.cgroup(name))]));
    const onlyJailed: Partial<WantedIsolation> = {
      jail: { uid: UID, gid: UID, root: toHostPath(this.root), rootIdentity, execName: this.#execName },
      cgroup: { version: cgroupVersion, path: `/${this.#name}/${ID}`, directories },
    };
    return {
      id: toVmId(ID),
      ...(jailed ? onlyJailed : {}),
      ...(netns === undefined ? {} : { netns: toHostPath(`/run/netns/${this.#name}`) }),
      newPidNamespace,
      limits: controllers.map((name) => {
        const { file, value } = cgroupLimits[name];
        return { name, file: toHostPath(join(this.cgroup(name), file)), wanted: value, rule: "pages" };
      }),
      openFiles: OPEN_FILES,
      console: identify(this.#io("console")),
      files: [
        ...["log", "metrics", "config"].map((name) => ({ name, ...identify(this.#io(name)) })),
        { name: "kernel", ...identify(join(this.root, "kernel")) },
      ],
      vcpus: 1,
    };
  }

  /** Hands over the configuration. */
  configure(): void {
    const kernel = this.#deviation.jailed === false ? join(this.root, "kernel") : "/kernel";
    const document = {
      "boot-source": { kernel_image_path: kernel, boot_args: "" },
      drives: [],
      "machine-config": { vcpu_count: 1, mem_size_mib: 128 },
    };
    fs.writeSync(this.#config ?? -1, JSON.stringify(document));
    this.#closeConfig();
  }

  /** Hands over the configuration, and waits until the guest of a jailed Firecracker runs. */
  async boot(): Promise<void> {
    this.configure();
    await waitUntil("the guest runs", async () => (await apiState(join(this.root, "api.socket"))) === "Running");
  }

  #closeConfig(): void {
    if (this.#config !== undefined) fs.closeSync(this.#config);
    this.#config = undefined;
  }

  /** Kills Firecracker, and waits until it is gone. */
  async kill(): Promise<void> {
    if (this.#process !== undefined) this.host.processes.signal(this.#process, "SIGKILL");
    this.#child?.kill("SIGKILL");
    const isAlive = () => this.#process !== undefined && this.host.processes.isAlive(this.#process);
    await waitUntil("Firecracker has ended", () => this.#hasChildEnded && !isAlive());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup.disposeAsync();
  }

  /** With a pid namespace of its own the child is not Firecracker, and ends at once. */
  get #hasChildEnded(): boolean {
    return this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #io(name: string): string {
    return join(this.#directory, "io", name);
  }

  #stage(): void {
    const { uid = UID, mount, netns, guest = "idle" } = this.#deviation;
    const fifos = ["console", "log", "metrics", "config"];
    for (const path of [join(this.root, "io"), join(this.#directory, "io")]) fs.mkdirSync(path, { recursive: true });
    execFileSync("mkfifo", fifos.map(this.#io, this));
    for (const name of fifos) {
      fs.chownSync(this.#io(name), uid, uid);
      fs.linkSync(this.#io(name), join(this.root, "io", name));
    }
    fs.copyFileSync(join(guests, `${guest}.elf`), join(this.root, "kernel"));
    fs.chmodSync(join(this.root, "kernel"), 0o644);
    if (mount === true) {
      fs.mkdirSync(join(this.root, "mounted"));
      execFileSync("mount", ["-t", "tmpfs", "none", join(this.root, "mounted")]);
      this.#cleanup.defer(() => void execFileSync("umount", [join(this.root, "mounted")]));
    }
    if (netns === undefined) return;
    execFileSync("ip", ["netns", "add", this.#name]);
    this.#cleanup.defer(() => void execFileSync("ip", ["netns", "del", this.#name]));
  }

  async #spawn(): Promise<void> {
    const { jailed = true, environment = {}, input, inherited, newPidNamespace } = this.#deviation;
    // Firecracker opens these to write: somebody must read.
    for (const name of ["log", "metrics"]) this.#open(this.#io(name), O_RDWR | O_NONBLOCK);
    const output = this.#open(this.#io("console"), O_RDWR);
    const first = input === undefined ? "ignore" : this.#open(input, O_RDONLY);
    const extra = inherited === undefined ? [] : [this.#open(inherited, O_RDONLY)];
    const { jailer, firecracker } = this.#programs;
    for (const mount of new Set(controllers.map(mountOf))) {
      this.#cleanup.defer(() => removeCgroup(join(mount, this.#name)));
    }
    this.#cleanup.defer(() => this.kill());
    this.#cleanup.defer(() => this.#closeConfig());
    this.#child = spawn(jailed ? jailer : firecracker, jailed ? this.#jailerArgs() : this.#firecrackerArgs(), {
      env: environment,
      cwd: "/",
      detached: true,
      stdio: [first, output, output, ...extra],
    });
    await once(this.#child, "spawn");
    await waitUntil("Firecracker asks for its configuration", () => {
      if (this.#hasChildEnded && newPidNamespace !== true) throw new Error("Firecracker has ended");
      this.#config = openWriter(this.#io("config"));
      return this.#config !== undefined;
    });
    const pid =
      newPidNamespace === true ? fs.readFileSync(join(this.root, `${this.#execName}.pid`), "utf8") : this.#child.pid;
    this.#process = this.host.processes.identify(Number(pid));
  }

  #open(path: string, flags: number): number {
    const descriptor = fs.openSync(path, flags);
    this.#cleanup.defer(() => fs.closeSync(descriptor));
    return descriptor;
  }

  #jailerArgs(): string[] {
    const { uid = UID, openFiles = OPEN_FILES, memory = cgroupLimits.memory.value, netns } = this.#deviation;
    const values = Object.entries({ ...cgroupLimits, memory: { ...cgroupLimits.memory, value: memory } });
    return [
      ...["--id", ID, "--exec-file", this.#programs.firecracker, "--uid", `${uid}`, "--gid", `${uid}`],
      ...["--chroot-base-dir", this.#base, "--cgroup-version", `${cgroupVersion}`, "--parent-cgroup", this.#name],
      ...values.flatMap(([, { file, value }]) => (value === "none" ? [] : ["--cgroup", `${file}=${value}`])),
      ...["--resource-limit", `no-file=${openFiles}`],
      ...(netns === "joined" ? ["--netns", `/run/netns/${this.#name}`] : []),
      ...(this.#deviation.newPidNamespace === true ? ["--new-pid-ns"] : []),
      "--",
      ...this.#firecrackerArgs(),
    ];
  }

  /** The jailer adds the id by itself. */
  #firecrackerArgs(): string[] {
    const prefix = this.#deviation.jailed === false ? this.#directory : "";
    return [
      ...(prefix === "" ? [] : ["--id", ID]),
      ...["--config-file", `${prefix}/io/config`, "--api-sock", `${prefix}/api.socket`],
      ...["--log-path", `${prefix}/io/log`, "--metrics-path", `${prefix}/io/metrics`],
      ...(this.#deviation.firecrackerArgs ?? []),
    ];
  }
}
