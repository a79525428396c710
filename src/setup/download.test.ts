import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { serve, tempDirectory, writeStream } from "../../test/support/setup-binaries.ts";
import { realClock } from "../host/real/clock.ts";
import { isWarderError, type WarderError } from "../vm/error.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import { type DownloadOptions, type DownloadProgress, downloadRelease } from "./download.ts";
import { releaseOf } from "./release.ts";

const archive = Buffer.alloc(300_000, "firecracker");
const sums = `${createHash("sha256").update(archive).digest("hex")}  firecracker-v1.16.1-x86_64.tgz\n`;

/** Answers as the release page does, except where a path is answered otherwise. */
function releasePage(special: Partial<Record<"sums" | "archive", RequestListener>> = {}): RequestListener {
  return (request, response) => {
    const isSums = request.url?.endsWith(".sha256.txt") === true;
    const own = isSums ? special.sums : special.archive;
    if (own !== undefined) own(request, response);
    else response.end(isSums ? sums : archive);
  };
}

async function download(t: TestContext, url: string, options: Partial<DownloadOptions> = {}): Promise<HostPath> {
  const to = toHostPath(`${tempDirectory(t)}/archive`);
  const release = releaseOf("1.16.1", "x86_64", url);
  const signal = new AbortController().signal;
  await downloadRelease(release, to, { clock: realClock, writeStream }, { signal, ...options });
  return to;
}

async function failure(
  t: TestContext,
  listener: RequestListener,
  options: Partial<DownloadOptions> = {},
): Promise<WarderError> {
  return failureOf(download(t, await serve(t, listener), options));
}

async function addressWithoutServer(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return `http://127.0.0.1:${port}`;
}

async function failureOf(work: Promise<unknown>): Promise<WarderError> {
  try {
    await work;
  } catch (error) {
    if (isWarderError(error)) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

test("an archive arrives whole when its sum is right", async (t) => {
  const to = await download(t, await serve(t, releasePage()));
  assert.ok(readFileSync(to).equals(archive));
});

test("progress is told until all has come", async (t) => {
  const heard: DownloadProgress[] = [];
  const listener = releasePage({
    archive: (_request, response) => response.setHeader("content-length", archive.length).end(archive),
  });
  await download(t, await serve(t, listener), { onProgress: (progress) => heard.push(progress) });
  const received = heard.map(({ receivedBytes }) => receivedBytes);
  assert.deepEqual(
    received,
    received.toSorted((a, b) => a - b),
  );
  assert.equal(received.at(-1), archive.length);
  assert.equal(heard.at(-1)?.totalBytes, archive.length);
});

test("redirects are followed, as release pages use them", async (t) => {
  const elsewhere = await serve(t, (_request, response) => response.end(archive));
  const listener = releasePage({
    archive: (_request, response) => response.writeHead(302, { location: `${elsewhere}/x` }).end(),
  });
  assert.ok(readFileSync(await download(t, await serve(t, listener))).equals(archive));
});

test("an archive with another sum is refused with both sums", async (t) => {
  const error = await failure(t, releasePage({ archive: (_request, response) => response.end("something else") }));
  assert.equal(error.code, "download-failed");
  assert.match(error.why, /SHA-256 is [0-9a-f]{64}, and the release says [0-9a-f]{64}/);
});

test("without a sum for the archive nothing else is fetched", async (t) => {
  const asked: string[] = [];
  const error = await failure(t, (request, response) => {
    asked.push(String(request.url));
    response.end("no sums here");
  });
  assert.match(error.why, /has no sum for firecracker-v1\.16\.1-x86_64\.tgz/);
  assert.equal(asked.length, 1);
});

test("a release that is not there is named with the server's answer", async (t) => {
  const error = await failure(t, (_request, response) => response.writeHead(404).end());
  assert.match(error.why, /answered 404 to .*sha256\.txt/);
});

test("an archive announced as too large is not read", async (t) => {
  const error = await failure(
    t,
    releasePage({
      archive: (_request, response) => response.setHeader("content-length", archive.length).end(archive),
    }),
    { maxBytes: 1000 },
  );
  assert.match(error.why, /has 300000 bytes, more than the 1000 allowed/);
});

test("an archive that grows too large is cut off", async (t) => {
  const endless = releasePage({
    archive: (_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(archive));
        response.once("drain", more);
      };
      more();
    },
  });
  const error = await failure(t, endless, { maxBytes: 1_000_000 });
  assert.match(error.why, /more than 1000000 bytes came/);
});

test("a server that says nothing is given up soon, with a way to do without it", async (t) => {
  const error = await failure(t, () => undefined, { answerTimeoutMs: 50 });
  assert.equal(error.code, "download-failed");
  assert.match(error.why, /no answer came within 50 ms/);
  assert.match(error.cure ?? "", /warder setup --from FILE/);
});

test("an archive that trickles ends with its deadline", async (t) => {
  const trickle = releasePage({ archive: (_request, response) => void response.write("a little") });
  const error = await failure(t, trickle, { timeoutMs: 200 });
  assert.match(error.why, /it took longer than 200 ms/);
});

test("an archive that breaks off is not taken", async (t) => {
  const error = await failure(
    t,
    releasePage({
      archive: (_request, response) => {
        response.setHeader("content-length", archive.length);
        response.write("a little", () => response.destroy());
      },
    }),
  );
  assert.equal(error.code, "download-failed");
});

test("a machine without a way to the server is told why", async (t) => {
  const error = await failureOf(download(t, await addressWithoutServer()));
  assert.equal(error.code, "download-failed");
  assert.match(error.why, /ECONNREFUSED/);
});

test("a caller that gives up is not told of a failed download", async (t) => {
  const caller = new AbortController();
  const listener: RequestListener = () => caller.abort();
  const error = await failure(t, listener, { signal: caller.signal });
  assert.equal(error.code, "aborted");
});
