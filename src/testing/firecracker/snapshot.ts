/** Snapshots: a state file that only this fake understands, and a memory file of the guest's size, all of it holes. */
import { closeSync, ftruncateSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { type OsError, toOsError } from "../common/os-error.ts";
import type { Release } from "../common/release.ts";
import type { GuestBehaviour } from "./behaviour.ts";
import type { Body } from "./bodies.ts";
import type { Translate } from "./jail.ts";
import { Refusal, RestoreFailure } from "./refusal.ts";
import type { SavedResources } from "./resources.ts";

const MIB = 1_048_576;
const CHECKSUM_BYTES = 8;

/** The contents of a state file. */
export interface Snapshot {
  readonly format: "warder-fake-snapshot";
  readonly version: string;
  readonly guest: GuestBehaviour;
  readonly resources: SavedResources;
}

export function writeSnapshot(snapshot: Snapshot, wanted: Body<"snapshotCreate">, translate: Translate): void {
  writeTo(translate(wanted.snapshot_path), "snapshot", (file) => writeSync(file, JSON.stringify(snapshot)));
  const memoryBytes = snapshot.resources.machine.mem_size_mib * MIB;
  writeTo(translate(wanted.mem_file_path), "memory", (file) => ftruncateSync(file, memoryBytes));
}

function writeTo(path: string, what: "snapshot" | "memory", write: (file: number) => unknown): void {
  const refuse = (action: string, error: OsError) =>
    new Refusal(
      "createSnapshot",
      `Cannot perform ${action} on the ${what} backing file: ${error.display}`,
      `${what === "snapshot" ? "SnapshotBackingFile" : "MemoryBackingFile"}("${action}", ${error.debug})`,
    );
  let action = "open";
  try {
    const file = openSync(path, "w", 0o644);
    action = what === "memory" ? "set_length" : "write";
    write(file);
    closeSync(file);
  } catch (error) {
    throw refuse(action, toOsError(error));
  }
}

/** Reads a state file and checks its memory file. */
export function readSnapshot(wanted: Body<"snapshotLoad">, release: Release, translate: Translate): Snapshot {
  const snapshot = readState(translate(wanted.snapshot_path), release);
  const memory = wanted.mem_backend?.backend_path ?? wanted.mem_file_path ?? "";
  const problem = "Failed to load guest memory: Error creating guest memory from file";
  const size = orRefuse(
    () => statSync(translate(memory)).size,
    (error) => `${problem}: Failed to load guest memory: ${error.display}`,
  );
  if (size < snapshot.resources.machine.mem_size_mib * MIB) {
    const cause = "Cannot create mmap region: The specified file offset and length is greater then file length";
    throw new RestoreFailure(`${problem}: Failed to restore guest memory: ${cause}`);
  }
  return snapshot;
}

function readState(path: string, release: Release): Snapshot {
  const text = orRefuse(
    () => readFileSync(path, "utf8"),
    (error) => `Failed to get snapshot state from file: Failed to open snapshot file: ${error.display}`,
  );
  const problem = "Failed to get snapshot state from file: Failed to load snapshot state from file";
  if (Buffer.byteLength(text) < CHECKSUM_BYTES) {
    throw new RestoreFailure(`${problem}: Snapshot file is smaller than CRC length.`);
  }
  const snapshot = parse(text);
  if (snapshot === undefined) throw new RestoreFailure(`${problem}: CRC64 validation failed: 0`);
  if (snapshot.version !== release.snapshotVersion) {
    throw new RestoreFailure(`${problem}: Invalid data version: ${snapshot.version}`);
  }
  return snapshot;
}

function parse(text: string): Snapshot | undefined {
  try {
    const snapshot: Partial<Snapshot> = JSON.parse(text);
    return snapshot.format === "warder-fake-snapshot" ? (snapshot as Snapshot) : undefined;
  } catch {
    // Not JSON: not a state file of this fake.
    return undefined;
  }
}

function orRefuse<T>(call: () => T, problem: (error: OsError) => string): T {
  try {
    return call();
  } catch (error) {
    throw new RestoreFailure(problem(toOsError(error)));
  }
}
