/**
 * A jailer for tests: same command line, same messages, same exit statuses, same tree, same leftovers as the real one,
 * on machines where nobody is root and nothing is KVM. Started by a launcher that `installFakes` wrote, whose first
 * argument is the settings file; it becomes the launcher that `--exec-file` names, and keeps its pid.
 *
 * Not modelled: the mount namespace and `pivot_root` (the fake Firecracker translates paths instead), the dropped
 * bounding set, aarch64's CPU files, limits below 64 open files (Node.js would not start), a namespace file of another
 * kind given as `--netns`. A binary counts as busy while the pid file names a process that runs in the jail. Without
 * root, also: owners, device nodes (plain files stand for them), namespaces, the uid change; each is written to the
 * installation's records with `done: false`.
 */
import { mkdirSync, writeSync } from "node:fs";
import { type Arguments, helpText, parseArguments } from "./common/arguments.ts";
import { attempt } from "./common/os-error.ts";
import { appendRecord } from "./common/records.ts";
import { type Release, releaseOf } from "./common/release.ts";
import { type Installation, isPrivileged, readInstallation } from "./common/settings.ts";
import { becomeFirecracker } from "./jailer/become.ts";
import { copyBinary } from "./jailer/binary.ts";
import { cgroupFiles } from "./jailer/cgroup-files.ts";
import { applyCgroups, type OnWrite, planCgroups } from "./jailer/cgroups.ts";
import { JailContext } from "./jailer/context.ts";
import { createDirectory, endingOf, endWith } from "./jailer/error.ts";
import { checkLimitsAllowed, checkNetns } from "./jailer/limits.ts";
import { createDevices, createDirectories, enterJail } from "./jailer/nodes.ts";
import { checkLimits, checkOptions, JAILER_FLAGS, type JailOptions } from "./jailer/options.ts";

function main(): void {
  const installation = readInstallation(process.argv[2]);
  const release = releaseOf(installation.settings.version);
  try {
    const given = parseArguments(JAILER_FLAGS, process.argv.slice(3));
    if (given.has("help")) printHelp(release);
    if (given.has("version")) printVersion(release);
    jail(given, installation, release);
  } catch (error) {
    endWith(endingOf(error as Error, release));
  }
}

function printHelp(release: Release): never {
  const last = "Any arguments after the -- separator will be supplied to the jailed binary.";
  writeSync(1, `Jailer v${release.version}\n\n${helpText(JAILER_FLAGS)}\n\n${last}\n\n`);
  process.exit(0);
}

function printVersion(release: Release): never {
  writeSync(1, `Jailer v${release.version}\n\n`);
  process.exit(0);
}

/** The whole story, in the real jailer's order. */
function jail(given: Arguments, { home, settings }: Installation, release: Release): void {
  const context = new JailContext(release, isPrivileged(settings));
  const cgroups = cgroupFiles(settings.cgroups);
  const onCgroupWrite: OnWrite = (path, value) => context.note({ action: "cgroup-write", path, value });
  const checked = checkOptions(given, release);
  const plan = planCgroups(checked, cgroups, release, onCgroupWrite);
  const options: JailOptions = { ...checked, limits: checkLimits(given.values("resource-limit")) };
  try {
    attempt(() => mkdirSync(options.root, { recursive: true }), createDirectory(options.root));
    copyBinary(options, context);
    checkNetns(options.netns, context);
    checkLimitsAllowed(options.limits, context);
    applyCgroups(plan, cgroups, onCgroupWrite);
    enterJail(options, context);
    createDirectories(options, context);
    createDevices(options, context);
    becomeFirecracker(options, context, () => writeRecord(home, options, context));
  } catch (error) {
    writeRecord(home, options, context, error as Error);
    throw error;
  }
}

function writeRecord(home: string, { id, root }: JailOptions, { actions }: JailContext, error?: Error): void {
  const argv = process.argv.slice(3);
  appendRecord(home, { kind: "jail", argv, id, root, actions, ...(error && { error: error.message }) });
}

main();
