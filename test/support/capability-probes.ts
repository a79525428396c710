/** How each capability of a machine is looked for. Each probe does the real thing, undone at once, where that is cheap. */
import { spawnSync } from "node:child_process";
import { closeSync, constants, existsSync, globSync, openSync, readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { findCgroupMounts } from "./cgroup-mounts.ts";

/** What a test may need of the machine. */
export type Capability =
  /** The super-user, with the capabilities to make namespaces and nodes. */
  | "root"
  /** A KVM that opens. It may be one that emulates guests, which runs the tiny ones only. */
  | "kvm"
  /** A KVM fast enough for Linux guests. */
  | "kvm-hardware-speed"
  | "cgroup-v1"
  | "cgroup-v2"
  /** Network namespaces can be made. */
  | "netns"
  /** TAP devices can be made. */
  | "tap"
  /** The usual CNI plugins, where Debian has them. */
  | "cni-plugins"
  /** Firecracker and its jailer: see {@link realBinaries}. */
  | "real-binaries"
  /** The programs of lab/lab.sh. */
  | "lab"
  /** What a lab with SELinux needs more than the lab. */
  | "lab-selinux"
  /** What a lab with systemd needs more than the lab. */
  | "lab-systemd"
  /** This is the lab: a machine that may be changed and broken at will. */
  | "in-lab"
  | "apparmor"
  | "selinux"
  /** Systemd is process 1. */
  | "systemd"
  | "gcc"
  /** Prometheus' own checker of rules and of metrics: the package prometheus. */
  | "promtool"
  | "curl"
  /** https://github.com/fullstorydev/grpcurl, which scripts/setup.sh makes where there is a Go. */
  | "grpcurl"
  /** Python with gRPC, and the generators of its stubs: packages python3-grpcio, protobuf-compiler-grpc. */
  | "python-grpc";

/** What is missing, as a clause; nothing if it is there. */
export type Probe = () => string | undefined;

/** The probes of this machine. */
export const PROBES: Readonly<Record<Capability, Probe>> = {
  root: () => (process.geteuid?.() === 0 ? undefined : "the tests run as an ordinary user"),
  kvm: () => cannotOpen("/dev/kvm"),
  "kvm-hardware-speed": () => cannotOpen("/dev/kvm") ?? slowKvm(),
  "cgroup-v1": () => (hasCgroupV1() ? undefined : "cpu, memory and pids are not mounted as cgroup v1"),
  "cgroup-v2": () => (hasCgroupV2() ? undefined : "no cgroup v2 hierarchy has the controllers cpu, memory and pids"),
  netns: () => cannotRun("unshare", "--net", "true"),
  tap: () => cannotRun("unshare", "--net", "ip", "tuntap", "add", "dev", "warder-probe", "mode", "tap"),
  "cni-plugins": () => noFile("/usr/lib/cni/bridge", "containernetworking-plugins"),
  "real-binaries": () =>
    realBinaries() === undefined ? "no firecracker and jailer here: bin/warder setup" : undefined,
  lab: noLab,
  "lab-selinux": () => noLab() ?? noFile("/etc/selinux/default/policy/policy.*", "selinux-policy-default"),
  "lab-systemd": () => noLab() ?? noFile("/lib/systemd/systemd", "systemd"),
  "in-lab": () => (isLab() ? undefined : "this is not the lab: scripts/test.ts lab"),
  apparmor: noAppArmor,
  selinux: () => (existsSync("/sys/fs/selinux/enforce") ? undefined : "the kernel runs without SELinux"),
  systemd: () => (existsSync("/run/systemd/system") ? undefined : "process 1 is not systemd"),
  gcc: () => notOnPath("gcc"),
  promtool: () => notOnPath("promtool"),
  curl: () => notOnPath("curl"),
  grpcurl: () => (grpcurlBinary() === undefined ? "it is not installed: make setup, where there is a Go" : undefined),
  "python-grpc": () =>
    cannotRun(testPython(), "-c", "import grpc") ?? notOnPath("protoc") ?? notOnPath("grpc_python_plugin"),
};

/** The Python that has gRPC: Debian's, also where another one comes first on the path. */
export function testPython(): string {
  return process.env.WARDER_TEST_PYTHON ?? "/usr/bin/python3";
}

/** The grpcurl on the path, else the one that scripts/setup.sh has put in the cache. */
export function grpcurlBinary(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const directories = [...(env.PATH ?? "").split(delimiter), join(cacheDirectory(env), "tools")];
  return directories.map((directory) => join(directory, "grpcurl")).find((path) => existsSync(path));
}

const known = new WeakMap<object, Map<Capability, string | undefined>>();

/** What of a capability is missing; each probe is asked once. */
export function missing(probes: Readonly<Record<Capability, Probe>>, capability: Capability): string | undefined {
  const answers = known.get(probes) ?? new Map<Capability, string | undefined>();
  known.set(probes, answers);
  if (!answers.has(capability)) answers.set(capability, probes[capability]());
  return answers.get(capability);
}

/** The real Firecracker and jailer. */
export interface RealBinaries {
  readonly firecracker: string;
  readonly jailer: string;
}

/** The ones that WARDER_FIRECRACKER and WARDER_JAILER name, else the newest that `warder setup` has put in its cache. */
export function realBinaries(env: NodeJS.ProcessEnv = process.env): RealBinaries | undefined {
  if (env.WARDER_FIRECRACKER && env.WARDER_JAILER) {
    return existingPair(env.WARDER_FIRECRACKER, env.WARDER_JAILER);
  }
  const byVersion = new Intl.Collator("en", { numeric: true });
  return globSync(`${cacheDirectory(env)}/bin/v*/firecracker`)
    .sort((a, b) => byVersion.compare(b, a))
    .map((firecracker) => existingPair(firecracker, join(dirname(firecracker), "jailer")))
    .find((pair) => pair !== undefined);
}

function cacheDirectory(env: NodeJS.ProcessEnv): string {
  return env.WARDER_CACHE_DIR || join(env.XDG_CACHE_HOME || join(env.HOME || "/root", ".cache"), "warder");
}

function existingPair(firecracker: string, jailer: string): RealBinaries | undefined {
  return existsSync(firecracker) && existsSync(jailer) ? { firecracker, jailer } : undefined;
}

function isLab(): boolean {
  return process.env.LAB === "1";
}

/**
 * WARDER_KVM_SPEED (fast or slow) is a measurement's result: scripts/test.ts asks the doctor for it once. Without one, the
 * lab's KVM is known to be fast enough, and any other without the processor's help to be an emulation.
 */
function slowKvm(): string | undefined {
  const emulates = "its KVM emulates guests, which takes many minutes for a Linux one";
  if (isLab() || process.env.WARDER_KVM_SPEED === "fast") return undefined;
  if (process.env.WARDER_KVM_SPEED === "slow") return `${emulates} (measured)`;
  const hasHelp = /^flags\s*:.*\b(vmx|svm)\b/m.test(readFileSync("/proc/cpuinfo", "utf8"));
  return hasHelp ? undefined : `${emulates} (the processor has neither vmx nor svm)`;
}

function hasCgroupV1(): boolean {
  const { v1 } = findCgroupMounts(readFileSync("/proc/self/mounts", "utf8"));
  return ["cpu", "memory", "pids"].every((controller) => v1.has(controller));
}

function hasCgroupV2(): boolean {
  const { v2 } = findCgroupMounts(readFileSync("/proc/self/mounts", "utf8"));
  if (v2 === undefined) return false;
  const controllers = readFileSync(`${v2}/cgroup.controllers`, "utf8").trim().split(" ");
  return ["cpu", "memory", "pids"].every((controller) => controllers.includes(controller));
}

function noLab(): string | undefined {
  if (isLab()) return "this is the lab, and it does not nest";
  return ["qemu-system-x86_64", "busybox", "depmod", "cpio", "xz"]
    .map(notOnPath)
    .find((problem) => problem !== undefined);
}

function noAppArmor(): string | undefined {
  const enabled = "/sys/module/apparmor/parameters/enabled";
  if (!existsSync(enabled) || !readFileSync(enabled, "utf8").startsWith("Y")) return "the kernel runs without AppArmor";
  return notOnPath("apparmor_parser");
}

function noFile(pattern: string, debianPackage: string): string | undefined {
  return globSync(pattern).length > 0 ? undefined : `${pattern} is missing: apt-get install ${debianPackage}`;
}

function notOnPath(program: string): string | undefined {
  const directories = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  const isThere = directories.some((directory) => directory !== "" && existsSync(join(directory, program)));
  return isThere ? undefined : `the program ${program} is not installed`;
}

function cannotOpen(path: string): string | undefined {
  try {
    closeSync(openSync(path, constants.O_RDWR));
    return undefined;
  } catch (error) {
    return `${path} cannot be opened (${(error as NodeJS.ErrnoException).code})`;
  }
}

function cannotRun(program: string, ...args: readonly string[]): string | undefined {
  const { error, status, stderr } = spawnSync(program, args, { encoding: "utf8" });
  if (status === 0) return undefined;
  return `\`${[program, ...args].join(" ")}\` fails: ${error?.message ?? stderr.trim()}`;
}
