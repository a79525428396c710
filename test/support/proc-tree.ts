import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Host } from "../../src/host/host.ts";
import { realClock } from "../../src/host/real/clock.ts";
import { openHost } from "../../src/host/real/host.ts";
import { realProcesses } from "../../src/host/real/processes.ts";
import type { FileIdentity, WantedIsolation } from "../../src/isolation/wanted.ts";
import { toVmId } from "../../src/vm/id.ts";
import type { ControlPhase } from "../../src/vm/isolation.ts";
import { toHostPath } from "../../src/vm/path.ts";
import type { ProcessIdentity } from "../../src/vm/process.ts";
import {
  BOOT_ID,
  descriptorTargets,
  ID,
  limitsOf,
  limitsText,
  PID,
  START_TICKS,
  statText,
  statusText,
  threads,
  UID,
} from "./proc-tree-texts.ts";

/** In memory where there is such a place: a tree is a hundred small files, and some tests make a hundred trees. */
const scratch = fs.existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/**
 * A directory that stands for a host with one perfectly jailed Firecracker, as far as `/proc` and the cgroup file
 * systems show it, for tests to spoil one thing of. Text files are a real process's, taken over word by word. What only
 * the kernel can make is stood in for: a namespace by an empty file, whose device and inode are its identity; the jail's
 * device nodes by `/dev/urandom`, its FIFOs by files; what a link of `/proc` leads to by a symbolic link.
 */
export class ProcTree implements Disposable {
  readonly directory: string;
  readonly host: Host;
  readonly process: ProcessIdentity = { pid: PID, startTicks: START_TICKS, bootId: BOOT_ID };
  readonly wanted: WantedIsolation;

  readonly #version: 1 | 2;

  constructor(phase: ControlPhase, cgroupVersion: 1 | 2 = 1) {
    this.#version = cgroupVersion;
    this.directory = fs.realpathSync(fs.mkdtempSync(join(scratch, "warder-proc-")));
    this.#makeJail();
    this.#makeSystem();
    this.#makeProcess();
    this.#makeDescriptors(phase);
    for (const [tid, name] of threads[phase]) this.#makeThread(tid, name, phase === "running");
    const roots = { proc: this.path("proc"), sys: this.path("sys"), dev: "/dev" };
    this.host = { ...openHost(), roots, processes: realProcesses(realClock, roots.proc) };
    this.wanted = this.#wanted();
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  /** Absolute path of something in the tree. */
  path(relative: string): string {
    return join(this.directory, relative);
  }

  /** Path in the tree of something of the process: `status`, `fd/0`. */
  ofProcess(relative: string): string {
    return `proc/${PID}/${relative}`;
  }

  /** Path in the tree of a controller's cgroup. */
  ofCgroup(controller: string): string {
    return this.#version === 2 ? `sys/fs/cgroup/jailer/${ID}` : `sys/fs/cgroup/${controller}/jailer/${ID}`;
  }

  /** Writes a file, and its directories. */
  write(relative: string, text: string): void {
    fs.mkdirSync(dirname(this.path(relative)), { recursive: true });
    fs.writeFileSync(this.path(relative), text);
  }

  /** Changes a file's text; throws where that changes nothing, as the test would then prove nothing. */
  edit(relative: string, from: string | RegExp, to: string): void {
    const before = fs.readFileSync(this.path(relative), "utf8");
    const after = before.replace(from, to);
    if (after === before) throw new Error(`${relative} has no ${from} to change`);
    fs.writeFileSync(this.path(relative), after);
  }

  /** Changes one line of a thread's status. */
  setStatus(field: string, value: string, tid: number = PID): void {
    this.edit(`${this.ofProcess("task")}/${tid}/status`, new RegExp(`^${field}:.*$`, "m"), `${field}:\t${value}`);
  }

  /** Makes a symbolic link, in the place of what is there. */
  link(relative: string, target: string): void {
    fs.mkdirSync(dirname(this.path(relative)), { recursive: true });
    fs.rmSync(this.path(relative), { force: true });
    fs.symlinkSync(target, this.path(relative));
  }

  mkdir(relative: string): void {
    fs.mkdirSync(this.path(relative));
  }

  move(from: string, to: string): void {
    fs.renameSync(this.path(from), this.path(to));
  }

  remove(relative: string): void {
    fs.rmSync(this.path(relative), { recursive: true });
  }

  /** Which file a path of the tree is. */
  identity(relative: string): FileIdentity {
    const { dev, ino } = fs.lstatSync(this.path(relative));
    return { device: dev, inode: ino };
  }

  /** The tid of another thread than the main one, in the running phase. */
  get vcpuTid(): number {
    return PID + 3;
  }

  #makeJail(): void {
    this.write("jail/root/firecracker", "a copy of Firecracker");
    this.write("jail/root/kernel", "a kernel");
    for (const name of ["console", "log", "metrics", "config"]) this.write(`jail/io/${name}`, "");
  }

  #makeSystem(): void {
    this.write("proc/sys/kernel/random/boot_id", `${BOOT_ID}\n`);
    for (const name of ["mnt", "net", "pid"]) {
      this.write(`namespaces/host-${name}`, "");
      this.write(`namespaces/own-${name}`, "");
      this.link(`proc/self/ns/${name}`, this.path(`namespaces/host-${name}`));
    }
    fs.mkdirSync(this.path("host-root"));
    this.link("proc/self/root", this.path("host-root"));
    for (const { controller, file, text } of limitsOf[this.#version]) {
      this.write(`${this.ofCgroup(controller)}/${file}`, text);
      this.write(`${this.ofCgroup(controller)}/cgroup.procs`, `${PID}\n`);
    }
  }

  #makeProcess(): void {
    this.write(this.ofProcess("stat"), statText(PID, "firecracker"));
    this.write(this.ofProcess("limits"), limitsText);
    this.write(this.ofProcess("environ"), "");
    this.write(this.ofProcess("cmdline"), `/firecracker\0--id\0${ID}\0--start-time-us\x001161257844\0`);
    this.write(this.ofProcess("attr/current"), "warder (enforce)\n");
    this.write(
      this.ofProcess("mountinfo"),
      `63 42 254:0 /srv/jailer/firecracker/${ID}/root / rw,relatime - ext4 /dev/vda rw\n`,
    );
    this.link(this.ofProcess("root"), this.path("jail/root"));
    this.link(this.ofProcess("cwd"), this.path("jail/root"));
    this.link(this.ofProcess("exe"), this.path("jail/root/firecracker"));
    for (const name of ["mnt", "net", "pid"]) {
      this.link(this.ofProcess(`ns/${name}`), this.path(`namespaces/own-${name}`));
    }
  }

  #makeDescriptors(phase: ControlPhase): void {
    const open = descriptorTargets(phase, (relative) => this.path(relative));
    open.forEach((target, number) => {
      this.link(this.ofProcess(`fd/${number}`), target);
    });
  }

  #makeThread(tid: number, name: string, isFiltered: boolean): void {
    const directory = this.ofProcess(`task/${tid}`);
    this.write(`${directory}/status`, statusText(tid, name, isFiltered));
    this.write(`${directory}/stat`, statText(tid, name));
    const own = limitsOf[this.#version].map(({ controller }, index) => `${index + 2}:${controller}:/jailer/${ID}\n`);
    this.write(
      `${directory}/cgroup`,
      this.#version === 2 ? `0::/jailer/${ID}\n` : `1:name=systemd:/\n${own.join("")}0::/\n`,
    );
  }

  #wanted(): WantedIsolation {
    const directoryOf = (controller: string) => toHostPath(this.path(this.ofCgroup(controller)));
    const limits = limitsOf[this.#version];
    return {
      id: toVmId(ID),
      jail: {
        uid: UID,
        gid: UID,
        root: toHostPath(this.path("jail/root")),
        rootIdentity: this.identity("jail/root"),
        execName: "firecracker",
      },
      netns: toHostPath(this.path("namespaces/own-net")),
      newPidNamespace: true,
      cgroup: {
        version: this.#version,
        path: `/jailer/${ID}`,
        directories: Object.fromEntries(limits.map(({ controller }) => [controller, directoryOf(controller)])),
      },
      limits: limits.map(({ name, wanted, rule, controller, file }) => {
        return { name, wanted, rule, file: toHostPath(`${directoryOf(controller)}/${file}`) };
      }),
      openFiles: 1000,
      fileSizeBytes: 1_048_576,
      cpus: "0,1",
      label: "warder (enforce)",
      console: this.identity("jail/io/console"),
      files: [
        { name: "/io/log", ...this.identity("jail/io/log") },
        { name: "/io/metrics", ...this.identity("jail/io/metrics") },
        { name: "/io/config", ...this.identity("jail/io/config") },
        { name: "kernel", ...this.identity("jail/root/kernel") },
      ],
      vcpus: 1,
    };
  }
}
