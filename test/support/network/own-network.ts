import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { type Capability, requires } from "../capability.ts";

/** In the lab everything takes some twenty times as long. */
const TIMEOUT_MS = process.env.LAB === "1" ? 30 * 60_000 : 10 * 60_000;

const MARK = "WARDER_TEST_OWN_NETWORK";

/** A host of its own as far as networks go: nothing of this machine's network is in it, and nothing of it stays. */
const ENTER = `set -e
mount --make-rprivate /
mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns
mkdir /run/netns/cgroup
mount --rbind /sys/fs/cgroup /run/netns/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/netns/cgroup /sys/fs/cgroup
umount -l /run/netns/cgroup
rmdir /run/netns/cgroup
ip link set lo up
exec "$@"`;

/** Whether this process is in a network that was made for it. */
export function isInOwnNetwork(): boolean {
  return process.env[MARK] === "1";
}

/** Runs this very program, with its arguments, in a network of its own, which forwards packets; its exit status. */
export function runInOwnNetwork(): number {
  const forward = "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding";
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const [command, ...args] = ownNetworkCommand(["sh", "-c", `${forward}; exec "$@"`, "sh", ...self]);
  return spawnSync(command, args, { stdio: "inherit", env: { ...process.env, [MARK]: "1" } }).status ?? 1;
}

function ownNetworkCommand(command: readonly string[]): readonly [string, ...string[]] {
  return ["unshare", "--net", "--mount", "sh", "-c", ENTER, "sh", ...command];
}

/**
 * Runs a file's tests in a network and a mount namespace of their own, in a process that is started for it: they see a
 * host with nothing but a loopback device, and may forward, filter and break on it as they like.
 */
export function inOwnNetwork(file: string, define: () => void, ...needs: readonly Capability[]): void {
  if (isInOwnNetwork()) {
    define();
    return;
  }
  test("in a network of its own", { ...requires("root", "netns", "tap", ...needs), timeout: TIMEOUT_MS }, () => {
    const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
    const node = [
      process.execPath,
      ...process.execArgv.filter((each) => !each.startsWith("--test")),
      "--test-reporter=spec",
    ];
    const [command, ...args] = ownNetworkCommand([...node, file]);
    const { status, signal, error, stdout, stderr } = spawnSync(command, args, {
      env: { ...environment, [MARK]: "1" },
      encoding: "utf8",
      maxBuffer: 16 * 1024 * 1024,
    });
    assert.equal(status, 0, `${error ?? signal ?? ""}\n${stdout}${stderr}`);
    assert.match(stdout, /pass [1-9]/);
  });
}
