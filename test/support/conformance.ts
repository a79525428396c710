/**
 * What a jailer and a Firecracker do, as far as a manager of theirs can tell: one suite that the real binaries and the
 * fakes must both pass. Where releases differ, the case says so.
 */
import { suite } from "node:test";
import { apiDeviceCases } from "./conformance/api-devices.ts";
import { apiProtocolCases } from "./conformance/api-protocol.ts";
import { apiRequestCases } from "./conformance/api-requests.ts";
import { cgroupCases } from "./conformance/cgroups.ts";
import { commandLineCases } from "./conformance/command-line.ts";
import { firecrackerCases } from "./conformance/firecracker.ts";
import { guestCases } from "./conformance/guests.ts";
import { jailCases } from "./conformance/jail.ts";
import { modeCases } from "./conformance/modes.ts";
import { snapshotCases } from "./conformance/snapshots.ts";
import { startUpCases } from "./conformance/start-up.ts";
import type { Subject } from "./conformance/subject.ts";

export { type Subject, versionOf } from "./conformance/subject.ts";

/** Chapters at a time, and cases of a chapter at a time: they wait more than they work, and share nothing. */
const CONCURRENCY = 2;

const CHAPTERS = {
  "command line": commandLineCases,
  jail: jailCases,
  modes: modeCases,
  cgroups: cgroupCases,
  firecracker: firecrackerCases,
  "start-up": startUpCases,
  "api protocol": apiProtocolCases,
  "api requests": apiRequestCases,
  "api devices": apiDeviceCases,
  guests: guestCases,
  snapshots: snapshotCases,
} as const;

/** A part of the suite. */
export type Chapter = keyof typeof CHAPTERS;

/** Registers the cases for one subject: all of them, or those of some chapters. */
export function conformance(subject: Subject, chapters: readonly Chapter[] = Object.keys(CHAPTERS) as Chapter[]): void {
  suite(subject.name, { ...subject.requirement, concurrency: CONCURRENCY }, () => {
    for (const chapter of chapters) CHAPTERS[chapter](subject);
  });
}
