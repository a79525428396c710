import type { Brand } from "./brand.ts";

/** Name of a VM and of its jail: 1 to 64 ASCII letters, digits and hyphens. */
export type VmId = Brand<string, "VmId">;

/** The jailer's own limit is 64 bytes. */
export const VM_ID_MAX_LENGTH = 64;

const grammar = /^[A-Za-z0-9-]+$/;

/**
 * Says what is wrong with a VM id, or `undefined` where nothing is. Narrower than the jailer, which takes any Unicode
 * letter: an id becomes part of paths, cgroups and interface names, where only ASCII is safe.
 */
export function vmIdProblem(value: string): string | undefined {
  if (value.length === 0) return "must not be empty";
  if (!grammar.test(value)) return "may hold only the letters a to z and A to Z, digits and hyphens";
  if (value.length > VM_ID_MAX_LENGTH) return `must be at most ${VM_ID_MAX_LENGTH} characters, not ${value.length}`;
  return undefined;
}

let lastStamp = 0n;

/**
 * A new id: `vm-` and a time-ordered number, the nanoseconds since 1970 (as the tool that operators migrate from names
 * its jails). Never the same twice in one process; across processes and restarts the store's uniqueness settles the
 * rest.
 */
export function generateVmId(nowNanoseconds: bigint): VmId {
  lastStamp = nowNanoseconds > lastStamp ? nowNanoseconds : lastStamp + 1n;
  return `vm-${lastStamp}` as VmId;
}

/** Makes a {@link VmId} of a string that {@link vmIdProblem} found nothing wrong with. */
export function toVmId(value: string): VmId {
  const problem = vmIdProblem(value);
  if (problem !== undefined) throw new RangeError(`VM id ${JSON.stringify(value)} ${problem}`);
  return value as VmId;
}
