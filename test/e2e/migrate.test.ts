import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { requires } from "../support/capability.ts";
import { realBinaries } from "../support/capability-probes.ts";

const root = join(import.meta.dirname, "../..");
const program = join(root, "bin/warder");

let directory: string;

beforeEach(() => {
  directory = fs.mkdtempSync("/var/tmp/warder-migrate-");
});
afterEach(() => fs.rmSync(directory, { recursive: true }));

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** As far as the script uses it: starts the daemon as the unit would, and waits until it serves. */
const systemctl = `#!/bin/bash
case "$1 $2" in
  "is-active --quiet") exit 3 ;;
  "is-active warder") echo active ;;
  "restart warder")
    mapfile -t settings < /etc/warder/warder.env
    : > "$HERE/log"
    env "\${settings[@]}" setsid "$DAEMON" serve > "$HERE/log" 2>&1 &
    echo $! > "$HERE/pid"
    until grep -q '"warder serves"' "$HERE/log"; do kill -0 $! || exit 1; sleep 0.1; done ;;
esac
`;

/** Runs the script on a host of its own, with these settings of metald's. */
async function migrate(...environment: readonly string[]): Promise<{ status: number | null; output: string }> {
  const { firecracker, jailer } = realBinaries() ?? assert.fail();
  const settings = [
    'preset = "production"\nallow_test_binaries = true',
    `firecracker = "${firecracker}"\njailer = "${jailer}"`,
    `server.port = ${await freePort()}\nmetrics.port = ${await freePort()}`,
    'server.socket = "none"',
  ];
  fs.mkdirSync(`${directory}/bin`);
  fs.writeFileSync(`${directory}/bin/systemctl`, systemctl, { mode: 0o755 });
  fs.writeFileSync(`${directory}/warder.toml`, settings.join("\n"));
  fs.writeFileSync(`${directory}/metald.env`, environment.join("\n"));
  const script = [
    `mkdir -p /etc/warder && cp ${directory}/warder.toml /etc/warder/`,
    `${root}/deploy/migrate --env ${directory}/metald.env; status=$?`,
    `if [ -f ${directory}/pid ]; then kill $(cat ${directory}/pid); fi; exit $status`,
  ];
  const { status, stdout, stderr } = spawnSync(
    "unshare",
    ["--mount", join(root, "test/support/own-host.sh"), directory, "bash", "-c", script.join("\n")],
    {
      encoding: "utf8",
      timeout: 100_000,
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: `${directory}/bin:${process.env.PATH}`, WARDER: program, DAEMON: program, HERE: directory },
    },
  );
  return { status, output: stdout + stderr };
}

describe("migrating from metald", requires("root", "kvm", "real-binaries", "lab-systemd"), () => {
  test("takes its five steps, with a VM made by the call that its guide prints", async () => {
    const { status, output } = await migrate(
      "export UNKEY_METALD_JAILER_ENABLED=false",
      "export UNKEY_METALD_BACKEND=firecracker",
      "export UNKEY_METALD_JAILER_MEMORY_LIMIT=134217728  # 128MB",
      "export UNKEY_METALD_JAILER_CPU_QUOTA=100           # 1 CPU core (100%)",
    );
    assert.equal(status, 0, output);
    for (const step of [1, 2, 3, 4, 5]) assert.match(output, new RegExp(`^${step}/5 `, "m"));
    assert.match(output, /^ +UNKEY_METALD_JAILER_ENABLED=true$/m);
    assert.match(output, /runs, jailed in \/srv\/jailer\/firecracker\/vm-\d+\/root$/m);
    assert.match(output, /memory\.(max_usage_in_bytes|peak) \d+ of 134217728$/m);
    assert.match(output, /is removed again$/m);
    assert.deepEqual(fs.readdirSync(`${directory}/opt/vm-assets`), []);
    assert.deepEqual(fs.readdirSync(`${directory}/srv/jailer/firecracker`), []);
  });
  test("says all that can not be taken over, and changes nothing", async () => {
    const { status, output } = await migrate("UNKEY_METALD_BACKEND=cloudhypervisor", "UNKEY_METALD_TLS_MODE=spiffe");
    assert.equal(status, 1);
    assert.match(output, /UNKEY_METALD_BACKEND: must be firecracker, not "cloudhypervisor"/);
    assert.match(output, /UNKEY_METALD_TLS_MODE: must be one of disabled, file, not "spiffe"/);
    assert.ok(!fs.existsSync(`${directory}/etc/warder/warder.env`));
    assert.deepEqual(fs.readdirSync(`${directory}/srv`), []);
  });
});
