import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { isVmRunning } from "../../src/index.ts";
import { requires } from "../support/capability.ts";
import { realBinaries } from "../support/capability-probes.ts";
import { guest } from "../support/warder-fixture.ts";
import { openSimple } from "./simple-fixture.ts";

const root = join(import.meta.dirname, "../..");
const examples = join(root, "docs/examples");

/** Has `warder` mean this checkout, as it means the package where it is installed. */
const resolveWarder = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from "node:module";
  const url = ${JSON.stringify(pathToFileURL(join(root, "src/index.ts")).href)};
  registerHooks({ resolve: (name, context, next) => next(name === "warder" ? url : name, context) });
`)}`;

/**
 * The examples name the usual places, which a test must not write to: it has its own there, for itself alone. What is
 * mounted, and the network namespace, go with the last process that sees them.
 */
const USUAL_PLACES = `
  mount --bind "$1" /usr/local/bin
  mount -t tmpfs none /media
  mkdir /media/checkout
  mount --bind "$2" /media/checkout
  mount -t tmpfs -o mode=755 none /var
  mount -t tmpfs -o mode=755 none /run
  case $2 in
    /var/*|/run/*) mkdir -p "$2"; mount --bind /media/checkout "$2"; cd "$2" ;;
  esac
  ip netns add isolated
  shift 2
  exec "$@"`;

/** What a run of an example came to. */
interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly withoutJailer?: boolean;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

async function runExample(name: string, { withoutJailer = false, args = [], env = {} }: RunOptions = {}): Promise<Run> {
  await using _cgroups = openSimple();
  const programs = stagePrograms(!withoutJailer);
  try {
    const node = process.execPath.startsWith("/usr/local/bin/")
      ? join("/usr/local/bin", basename(process.execPath))
      : process.execPath;
    const line = [
      node,
      "--disable-warning=ExperimentalWarning",
      "--import",
      resolveWarder,
      join(examples, name),
      ...args,
    ];
    const child = spawn(
      "unshare",
      ["--mount", "--propagation", "private", "sh", "-ec", USUAL_PLACES, "sh", programs, root, ...line],
      { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } },
    );
    const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
    return { status, stdout, stderr };
  } finally {
    rmSync(programs, { recursive: true });
  }
}

/** A directory that stands for `/usr/local/bin`, as the release's installation leaves it. */
function stagePrograms(withJailer: boolean): string {
  const directory = mkdtempSync("/tmp/warder-examples-");
  const binaries = realBinaries();
  assert.ok(binaries !== undefined);
  mkdirSync(directory, { recursive: true });
  copyFileSync(binaries.firecracker, join(directory, "firecracker-v1.14.1"));
  if (withJailer) copyFileSync(binaries.jailer, join(directory, "jailer"));
  if (process.execPath.startsWith("/usr/local/bin/"))
    copyFileSync(process.execPath, join(directory, basename(process.execPath)));
  return directory;
}

test("the examples are good TypeScript, as strict as the project itself", () => {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const { status, stdout } = spawnSync(process.execPath, [tsc, "--project", examples], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
});

describe("an example", requires("root", "netns", "real-binaries"), () => {
  test("basic.ts starts a sandboxed VM, says so, and stops it", async () => {
    const { status, stdout, stderr } = await runExample("basic.ts");
    assert.deepEqual([status, stderr], [0, ""]);
    const [, pid] = /^VM started: (\d+) \(sandboxed: true\)\n$/.exec(stdout) ?? [];
    assert.equal(await isVmRunning(Number(pid)), false, stdout);
  });

  test("advanced.ts has its two CPUs, 512 MB and network namespace, control by control", async () => {
    const { status, stdout, stderr } = await runExample("advanced.ts");
    assert.deepEqual([status, stderr], [0, ""]);
    const socket = "/var/jail/firecracker-v1.14.1/secure-vm-123/root/run/firecracker.socket";
    const [, pid] = new RegExp(`^Firecracker (\\d+) waits on ${socket}$`, "m").exec(stdout) ?? [];
    assert.match(stdout, /^ok {2}limit\.memory: wanted 536870912, found 536870912$/m);
    assert.match(stdout, /^ok {2}limit\.cpu: wanted 200000( 100000)?, found 200000( 100000)?$/m);
    assert.match(stdout, /^ok {2}network-namespace: wanted \/run\/netns\/isolated, found \/run\/netns\/isolated$/m);
    assert.doesNotMatch(stdout, /GAP/);
    assert.equal(await isVmRunning(Number(pid)), false, stdout);
  });

  test("boot.ts shows the console, and how the guest ended", requires("kvm"), async () => {
    const { status, stdout, stderr } = await runExample("boot.ts", { args: [guest("hello")] });
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, /^isolation: (proven|partial)$/m);
    assert.match(stdout, /^ended: guest-ended \(.+\)$/m);
  });

  const elsewhere = ["/usr/bin/jailer", "/usr/sbin/jailer", "/usr/local/sbin/jailer"].find((path) => existsSync(path));
  const withoutJailer = elsewhere === undefined ? {} : { skip: `${elsewhere} is installed` };

  test("basic.ts runs without a sandbox where no jailer is installed, and warns", withoutJailer, async () => {
    const { status, stdout, stderr } = await runExample("basic.ts", { withoutJailer: true });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^VM started: \d+ \(sandboxed: false\)\n$/);
    const warning = "warder: Jailer not available, starting without sandboxing (INSECURE for production!)";
    assert.deepEqual(
      stderr.split("\n").filter((line) => line.startsWith(warning)).length,
      1,
      "the warning is there once",
    );
  });

  test("basic.ts refuses to in production", withoutJailer, async () => {
    const run = await runExample("basic.ts", { withoutJailer: true, env: { NODE_ENV: "production" } });
    assert.equal(run.status, 1);
    assert.equal(run.stdout, "");
    assert.match(run.stderr, /Failed to start Firecracker with Jailer: .*Production requires sandboxing!/);
  });
});
