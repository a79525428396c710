/** What the tests of setting up share; there are no tests in here. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import type { TestContext } from "node:test";
import type { Host } from "../../src/host/host.ts";
import { ensureBinaries, type SetupDeps, type SetupRequest } from "../../src/setup/setup.ts";
import { isWarderError, type WarderError } from "../../src/vm/error.ts";
import { type HostPath, toHostPath } from "../../src/vm/path.ts";
import { fakeVetDeps, hostWithPath, releaseArchive, serve, tempDirectory, writeStream } from "./setup-binaries.ts";

/** A user id that nobody has. */
export const ANYBODY = 65_533;

/** One machine to set up: nothing on it, and no way out, unless a test says so. */
export class Machine {
  readonly directory: HostPath;
  readonly cache: HostPath;
  readonly deps = fakeVetDeps();
  releasesUrl = "http://127.0.0.1:9";

  constructor(t: TestContext) {
    this.directory = tempDirectory(t);
    this.cache = toHostPath(`${this.directory}/cache`);
  }

  setUp(request: Partial<SetupRequest> = {}, searchPath?: string, signal = new AbortController().signal) {
    return this.setUpOn(hostWithPath(searchPath), request, signal);
  }

  setUpOn(host: Host, request: Partial<SetupRequest>, signal = new AbortController().signal) {
    const deps: SetupDeps = { ...this.deps, writeStream, releasesUrl: this.releasesUrl };
    return ensureBinaries(host, { cacheDirectory: this.cache, ...request }, deps, { signal });
  }

  async failure(request: Partial<SetupRequest> = {}, searchPath?: string): Promise<WarderError> {
    const outcome = await this.setUp(request, searchPath).catch((error: unknown) => error);
    assert.ok(isWarderError(outcome), `it did not fail: ${JSON.stringify(outcome)}`);
    return outcome;
  }

  /** A release page that has one release. */
  async publish(t: TestContext, version = "1.16.1"): Promise<void> {
    const archive = readFileSync(releaseArchive(this.directory, version));
    const sums = `${createHash("sha256").update(archive).digest("hex")}  firecracker-v${version}-x86_64.tgz\n`;
    this.releasesUrl = await serve(t, (request, response) => {
      const isThere = request.url?.startsWith(`/v${version}/firecracker-v${version}-x86_64.tgz`) === true;
      if (!isThere) response.writeHead(404).end();
      else response.end(request.url?.endsWith(".sha256.txt") ? sums : archive);
    });
  }

  leftovers(): string[] {
    return readdirSync(`${this.cache}/bin`).filter((name) => name.startsWith("."));
  }
}
