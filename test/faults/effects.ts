/**
 * Loaded into a manager before everything else (`node --import`): counts what the manager does to the world, and kills
 * it with SIGKILL before or after the effect that it was told. An effect is what outlives the process: a change of a
 * file, of the state database, bytes to another process, a signal, a program that is started.
 */
import childProcess from "node:child_process";
import fs from "node:fs";
import fsPromises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { Socket } from "node:net";
import { DatabaseSync, StatementSync } from "node:sqlite";

/** When the process dies. */
export interface Death {
  /** The first effect after {@link arm} is 1. */
  readonly effect: number;
  readonly moment: "before" | "after";
}

type Call = (this: unknown, ...args: unknown[]) => unknown;

const fileEffects = [
  "chmod",
  "chown",
  "copyFile",
  "fchmod",
  "fchown",
  "ftruncate",
  "lchown",
  "link",
  "mkdir",
  "mkdtemp",
  "rename",
  "rm",
  "rmdir",
  "symlink",
  "truncate",
  "unlink",
  "write",
  "writeFile",
] as const;

const { kill } = process;
let death: Death | undefined;
let count = 0;
let armed = false;
let onDeath: (what: string) => void = () => undefined;

/** Starts to count. `report` is told what the process dies of, right before. */
export function arm(when: Death | undefined, report: (what: string) => void): void {
  armed = true;
  death = when;
  count = 0;
  onDeath = report;
}

/** Effects since {@link arm}. */
export function effectsSoFar(): number {
  return count;
}

function dieIf(moment: Death["moment"], mine: number, what: string): void {
  if (death?.effect !== mine || death.moment !== moment) return;
  const { moment: when } = death;
  death = undefined;
  onDeath(`${when} ${what}`);
  kill(process.pid, "SIGKILL");
}

function watched(original: Call, what: (args: unknown[]) => string): Call {
  const wrapper: Call = function wrapped(...args) {
    if (!armed) return original.apply(this, args);
    const mine = ++count;
    dieIf("before", mine, what(args));
    const result = original.apply(this, args);
    if (result instanceof Promise) return result.finally(() => dieIf("after", mine, what(args)));
    dieIf("after", mine, what(args));
    return result;
  };
  return Object.assign(wrapper, original);
}

/** Only the calls that were armed for are counted, so that preparations are not. */
function watch(owner: object, name: string, what: (args: unknown[]) => string): void {
  const methods = owner as Record<string, Call>;
  const original = methods[name];
  if (original !== undefined) methods[name] = watched(original, what);
}

const shown = (value: unknown) => (typeof value === "string" ? value.slice(0, 160).split("\n")[0] : "");
for (const name of fileEffects) {
  watch(fs, `${name}Sync`, ([path]) => `${name} ${shown(path)}`);
  watch(fsPromises, name, ([path]) => `${name} ${shown(path)}`);
}
watch(childProcess, "spawn", ([file]) => `spawn ${shown(file)}`);
watch(process, "kill", ([, signal]) => `signal ${shown(signal)}`);
watch(StatementSync.prototype, "run", () => "a statement of the state database");
watch(DatabaseSync.prototype, "exec", ([sql]) => `database: ${shown(sql)}`);
watch(Socket.prototype, "_write", () => "bytes to another process");
watch(Socket.prototype, "_writev", () => "bytes to another process");
syncBuiltinESMExports();
