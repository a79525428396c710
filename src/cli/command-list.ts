import type { CliCommand } from "./command.ts";

/** A command as far as it is known before it is loaded. */
export interface ListedCommand {
  readonly name: string;
  readonly summary: string;
  /** Heading in the help; absent where the command is not for people. */
  readonly group?: string;
  /** Only the command that runs is loaded, so that none waits for another's parts. */
  readonly load: () => Promise<CliCommand>;
}

const one = "Start and stop VMs:";
const look = "Look at VMs:";
const machine = "Look after this machine:";

/** Every command, in the order of the help. */
export const commandList: readonly ListedCommand[] = [
  {
    name: "run",
    summary: "start a VM, jailed and proven; show its console; end with its exit",
    group: one,
    load: async () => (await import("./commands/run.ts")).runCommand,
  },
  {
    name: "create",
    summary: "write a VM down, to be started later",
    group: one,
    load: async () => (await import("./commands/create.ts")).createCommand,
  },
  {
    name: "start",
    summary: "start VMs that were created or have ended, in the background",
    group: one,
    load: async () => (await import("./commands/start.ts")).startCommand,
  },
  {
    name: "reboot",
    summary: "end VMs in order, and start them again",
    group: one,
    load: async () => (await import("./commands/reboot.ts")).rebootCommand,
  },
  {
    name: "stop",
    summary: "end VMs in order, by force where that does not help",
    group: one,
    load: async () => (await import("./commands/stop.ts")).stopCommand,
  },
  {
    name: "kill",
    summary: "end VMs at once",
    group: one,
    load: async () => (await import("./commands/kill.ts")).killCommand,
  },
  {
    name: "pause",
    summary: "stop the guests' time",
    group: one,
    load: async () => (await import("./commands/pause.ts")).pauseCommand,
  },
  {
    name: "resume",
    summary: "let the guests' time go on",
    group: one,
    load: async () => (await import("./commands/resume.ts")).resumeCommand,
  },
  {
    name: "limit",
    summary: "limit the rate of a disk or an interface",
    group: one,
    load: async () => (await import("./commands/limit.ts")).limitCommand,
  },
  {
    name: "metadata",
    summary: "what a guest is told of itself: get, set or patch it",
    group: one,
    load: async () => (await import("./commands/metadata.ts")).metadataCommand,
  },
  {
    name: "rm",
    summary: "forget VMs that have ended, with their output",
    group: one,
    load: async () => (await import("./commands/rm.ts")).rmCommand,
  },
  { name: "ps", summary: "list VMs", group: look, load: async () => (await import("./commands/ps.ts")).psCommand },
  {
    name: "inspect",
    summary: "all about one VM, with the proof of its isolation",
    group: look,
    load: async () => (await import("./commands/inspect.ts")).inspectCommand,
  },
  {
    name: "logs",
    summary: "the console of a VM, or Firecracker's log; of dead ones too",
    group: look,
    load: async () => (await import("./commands/logs.ts")).logsCommand,
  },
  {
    name: "watch",
    summary: "the changes of VMs' states as they come, or from a point on",
    group: look,
    load: async () => (await import("./commands/watch.ts")).watchCommand,
  },
  {
    name: "stats",
    summary: "what VMs use, as the kernel counts it",
    group: look,
    load: async () => (await import("./commands/stats.ts")).statsCommand,
  },
  {
    name: "network",
    summary: "the networks that VMs share; a VM's addresses, and what was dropped",
    group: look,
    load: async () => (await import("./commands/network.ts")).networkCommand,
  },
  {
    name: "vsock",
    summary: "join standard input and output to a program of a guest's",
    group: look,
    load: async () => (await import("./commands/vsock.ts")).vsockCommand,
  },
  {
    name: "serve",
    summary: "run the daemon: all of this over Connect and gRPC",
    group: machine,
    load: async () => (await import("./commands/serve.ts")).serveCommand,
  },
  {
    name: "token",
    summary: "make, list and revoke tokens for the daemon's callers",
    group: machine,
    load: async () => (await import("./commands/token.ts")).tokenCommand,
  },
  {
    name: "doctor",
    summary: "say whether VMs can be jailed here, and what to do if not",
    group: machine,
    load: async () => (await import("./commands/doctor.ts")).doctorCommand,
  },
  {
    name: "setup",
    summary: "find Firecracker and the jailer, or install them",
    group: machine,
    load: async () => (await import("./commands/setup.ts")).setupCommand,
  },
  {
    name: "install",
    summary: "put the daemon's systemd unit, accounts and directories in place",
    group: machine,
    load: async () => (await import("./commands/install.ts")).installCommand,
  },
  {
    name: "gc",
    summary: "remove what VMs and managers that died have left",
    group: machine,
    load: async () => (await import("./commands/gc.ts")).gcCommand,
  },
  {
    name: "config",
    summary: "the settings in force, and where each comes from",
    group: machine,
    load: async () => (await import("./commands/config.ts")).configCommand,
  },
  {
    name: "version",
    summary: "the versions of Warder, Node.js and Firecracker",
    group: machine,
    load: async () => (await import("./commands/version.ts")).versionCommand,
  },
  {
    name: "monitor",
    summary: "look after a VM in the background; started by `run --detach`",
    load: async () => (await import("./commands/monitor.ts")).monitorCommand,
  },
];
