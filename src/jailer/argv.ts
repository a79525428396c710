import type { HostPath } from "../vm/path.ts";

/** Everything the jailer is told. What is absent is not passed. */
export interface JailerArguments {
  readonly id: string;
  readonly execFile: HostPath;
  readonly uid: number;
  readonly gid: number;
  readonly chrootBase: HostPath;
  readonly cgroupVersion: 1 | 2;
  readonly parentCgroup: string;
  /** `file=value` each, such as `memory.max=134217728`. */
  readonly cgroups: readonly string[];
  readonly openFiles?: number;
  readonly fileSizeBytes?: number;
  readonly netns?: HostPath;
  readonly newPidNamespace?: boolean;
  /** Firecracker's own arguments. */
  readonly firecracker: readonly string[];
}

/**
 * The jailer's command line, program excluded. Only `--name value`, as the jailer refuses `--name=value`; the cgroup
 * version always, as its default is 1 whatever the host has; never `--daemonize`, so that the child that was started
 * becomes Firecracker and its pid and exit status are ours.
 */
export function jailerArgv(wanted: JailerArguments): string[] {
  return [
    ...["--id", wanted.id],
    ...["--exec-file", wanted.execFile],
    ...["--uid", String(wanted.uid)],
    ...["--gid", String(wanted.gid)],
    ...["--chroot-base-dir", wanted.chrootBase],
    ...["--cgroup-version", String(wanted.cgroupVersion)],
    ...["--parent-cgroup", wanted.parentCgroup],
    ...wanted.cgroups.flatMap((setting) => ["--cgroup", setting]),
    ...limit("no-file", wanted.openFiles),
    ...limit("fsize", wanted.fileSizeBytes),
    ...(wanted.netns === undefined ? [] : ["--netns", wanted.netns]),
    ...(wanted.newPidNamespace === true ? ["--new-pid-ns"] : []),
    "--",
    ...wanted.firecracker,
  ];
}

function limit(name: string, value: number | undefined): string[] {
  return value === undefined ? [] : ["--resource-limit", `${name}=${value}`];
}
