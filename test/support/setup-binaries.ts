/** What the tests of this room share; there are no tests in here. */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import type { Host } from "../../src/host/host.ts";
import { openHost } from "../../src/host/real/host.ts";
import type { WriteStream } from "../../src/setup/download.ts";
import type { BinaryPair, VetDeps } from "../../src/setup/vet.ts";
import { type HostPath, toHostPath } from "../../src/vm/path.ts";

/** The head of an ELF file with the given segment types, laid out as linkers do. */
export function elfHead(options: { machine?: number; segments?: readonly number[]; offset?: bigint } = {}): Buffer {
  const segments = options.segments ?? [1];
  const head = Buffer.alloc(64 + 56 * segments.length);
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  head.writeUInt16LE(options.machine ?? 62, 18);
  head.writeBigUInt64LE(options.offset ?? 64n, 32);
  head.writeUInt16LE(56, 54);
  head.writeUInt16LE(segments.length, 56);
  segments.forEach((type, index) => {
    head.writeUInt32LE(type, 64 + 56 * index);
  });
  return head;
}

/** A directory that is removed when the test ends. */
export function tempDirectory(t: TestContext): HostPath {
  const directory = mkdtempSync(join(tmpdir(), "warder-setup-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return toHostPath(directory);
}

/** This machine, on which Firecracker and jailer are found in one directory only, if at all. */
export function hostWithPath(searchPath?: string): Host {
  const real = openHost(process.env.PATH);
  const find = (tool: string): HostPath | undefined => {
    if (tool !== "firecracker" && tool !== "jailer") return real.commands.find(tool);
    return searchPath !== undefined && real.files.inspect(`${searchPath}/${tool}`)
      ? toHostPath(`${searchPath}/${tool}`)
      : undefined;
  };
  return { ...real, commands: { ...real.commands, find } };
}

/** A binary that no test runs: what {@link readVersionTag} takes for its version stands behind its head. */
export function fakeBinary(
  path: string,
  options: { version?: string; machine?: number; segments?: readonly number[]; mode?: number; uid?: number } = {},
): HostPath {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, Buffer.concat([elfHead(options), Buffer.from(`version ${options.version ?? "1.16.1"}\n`)]));
  chmodSync(path, options.mode ?? 0o755);
  if (options.uid !== undefined) chownSync(path, options.uid, options.uid);
  return toHostPath(path);
}

/** Both binaries in a directory, under their plain names or a release's. */
export function fakePair(directory: string, version = "1.16.1", suffix = ""): BinaryPair {
  const firecracker = fakeBinary(`${directory}/firecracker${suffix}`, { version });
  return { firecracker, jailer: fakeBinary(`${directory}/jailer${suffix}`, { version }) };
}

/** Reads versions of fake binaries, and notes which ones a real reader would have run. */
export function fakeVetDeps(): VetDeps & { readonly ran: string[] } {
  const ran: string[] = [];
  return {
    architecture: "x86_64",
    ran,
    async readVersion(binary) {
      ran.push(binary);
      return /version (\S+)\n$/.exec(readFileSync(binary, "latin1"))?.[1] ?? "none";
    },
  };
}

/** Writes as the contract of {@link WriteStream} says. */
export const writeStream: WriteStream = async (path, source, signal) => {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(source, { signal });
  } finally {
    await file.close();
  }
};

/** A release's archive of fake binaries, made by tar as upstream makes it. */
export function releaseArchive(directory: string, version = "1.16.1"): HostPath {
  const name = `v${version}-x86_64`;
  const content = `${directory}/content`;
  fakePair(`${content}/release-${name}`, version, `-${name}`);
  writeFileSync(`${content}/release-${name}/LICENSE`, "free\n");
  const archive = `${directory}/firecracker-${name}.tgz`;
  run("tar", ["-czf", archive, "-C", content, `release-${name}`]);
  return toHostPath(archive);
}

/** A web server of this machine that ends with the test; returns its address. */
export async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return `http://127.0.0.1:${address.port}`;
}

/** Runs a tool of the system, which must succeed. */
export function run(tool: string, args: readonly string[], cwd = "/"): string {
  const { status, stdout, stderr, error } = spawnSync(tool, args, { encoding: "utf8", cwd });
  if (status !== 0) throw new Error(`${tool} ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}
