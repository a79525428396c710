/** What tests under a real systemd share: commands, and units that are confined as the daemon is. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";

/** The project's directory. */
export const projectRoot = join(import.meta.dirname, "../..");

/** The command line as users have it. */
export const warder = join(projectRoot, "bin/warder");

/** The lab emulates every instruction, and shares its processors with whatever else runs on the machine. */
export const PATIENCE_MS = 600_000;

/** What a command came to. */
export interface Ended {
  readonly status: number | null;
  readonly output: string;
}

/** Runs a command. */
export function run(command: string, ...args: readonly string[]): Ended {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: PATIENCE_MS });
  return { status, output: stdout + stderr };
}

/** Runs a command that must succeed; what it printed. */
export function must(command: string, ...args: readonly string[]): string {
  const { status, output } = run(command, ...args);
  assert.equal(status, 0, `${command} ${args.join(" ")}: ${output}`);
  return output.trim();
}

/** What systemd says of a unit. */
export function property(unit: string, name: string): string {
  return must("systemctl", "show", unit, `--property=${name}`, "--value");
}

/** The lines of the installed unit that confine it. */
export function confinement(): string[] {
  const unit = fs.readFileSync("/etc/systemd/system/warder.service", "utf8");
  const [, service = ""] = /\[Service\]\n([\s\S]*)\n\[Install\]/.exec(unit) ?? [];
  return service.split("\n").filter((line) => /^[A-Z]/.test(line) && !/^(Exec|Type|Notify|Restart|Timeout)/.test(line));
}

/** Runs a command line in a unit that is confined as the daemon is. */
export function confined(command: string, lines = confinement()): Ended {
  const output = "/run/confined.output";
  fs.rmSync(output, { force: true });
  const service = [
    "[Service]",
    "Type=oneshot",
    ...lines,
    `Environment=HOME=${process.env.HOME ?? "/root"} WARDER_ALLOW_TEST_BINARIES=1`,
    `ExecStart=/bin/sh -c ${JSON.stringify(`(${command}) > ${output} 2>&1`)}`,
  ];
  fs.writeFileSync("/run/systemd/system/confined.service", `${service.join("\n")}\n`);
  must("systemctl", "daemon-reload");
  run("systemctl", "start", "confined.service");
  const status = Number(property("confined.service", "ExecMainStatus"));
  run("systemctl", "reset-failed", "confined.service");
  return { status, output: fs.existsSync(output) ? fs.readFileSync(output, "utf8") : "" };
}
