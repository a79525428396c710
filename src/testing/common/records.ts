/**
 * What the fakes did, or would have done with more rights, one JSON document per line: tests inspect it where a real
 * jail would have to be asked by root.
 */
import { appendFileSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/** One thing that needs root. */
export type JailAction =
  | { readonly action: "chown"; readonly path: string; readonly uid: number; readonly gid: number }
  | { readonly action: "mknod"; readonly path: string; readonly major: number; readonly minor: number }
  | { readonly action: "setrlimit"; readonly resource: "fsize" | "no-file"; readonly value: string }
  | { readonly action: "setns"; readonly path: string }
  | { readonly action: "cgroup-write"; readonly path: string; readonly value: string }
  | { readonly action: "unshare"; readonly namespace: "mnt" | "pid" }
  | { readonly action: "setuid"; readonly uid: number; readonly gid: number };

/** One run of the fake jailer. */
export interface JailRecord {
  readonly kind: "jail";
  readonly argv: readonly string[];
  readonly id: string;
  readonly root: string;
  /** In the order of the real jailer. */
  readonly actions: readonly (JailAction & { readonly done: boolean })[];
  /** What it ended with when it failed. */
  readonly error?: string;
}

/** One request to a fake Firecracker. */
export interface RequestRecord {
  readonly kind: "request";
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly status: number;
}

export type FakeRecord = JailRecord | RequestRecord;

/** The file of records, which exists from the start. */
export function recordsPath(home: string): string {
  return join(home, "records.jsonl");
}

export function appendRecord(home: string, record: FakeRecord): void {
  appendFileSync(recordsPath(home), `${JSON.stringify(record)}\n`);
}

/** Opens the records before the process gives up the rights to write them. */
export function openRecords(home: string): (record: FakeRecord) => void {
  const file = openSync(recordsPath(home), "a");
  return (record) => writeSync(file, `${JSON.stringify(record)}\n`);
}

export function readRecords(home: string): FakeRecord[] {
  const lines = readFileSync(recordsPath(home), "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line): FakeRecord => JSON.parse(line));
}
