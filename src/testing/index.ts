/**
 * A jailer and a Firecracker for tests: programs with the command lines, the protocol, the messages and the exit codes
 * of the real ones, that need neither root nor KVM. The same tests that run with them run with the real binaries.
 *
 * @module
 */
export type { FakeRecord, JailAction, JailRecord, RequestRecord } from "./common/records.ts";
export type { CgroupRoots, Fault } from "./common/settings.ts";
export type { GuestBehaviour } from "./firecracker/behaviour.ts";
export { type FakesOptions, type InstalledFakes, installFakes } from "./install.ts";
export { guestKernel } from "./kernel.ts";
