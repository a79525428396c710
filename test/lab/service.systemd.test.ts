import assert from "node:assert/strict";
import * as fs from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { requires } from "../support/capability.ts";
import { confined, confinement, must, PATIENCE_MS, projectRoot, property, warder } from "../support/confined-unit.ts";

function capabilities(): string[] {
  return confinement().flatMap((line) => /^CapabilityBoundingSet=(.*)$/.exec(line)?.[1]?.split(" ") ?? []);
}

/** A VM, jailed, proven, stopped and removed, by a process that is confined so. */
function life(lines?: string[]) {
  const directory = fs.mkdtempSync("/var/tmp/warder-life-");
  const script = join(projectRoot, "test/support/life-of-a-vm.ts");
  return confined(`${process.execPath} --disable-warning=ExperimentalWarning ${script} ${directory}`, lines);
}

describe("the daemon's unit", { ...requires("in-lab", "systemd", "real-binaries"), timeout: 20 * PATIENCE_MS }, () => {
  before(() => must(warder, "install"));
  after(() => must(warder, "install", "--uninstall"));

  test("is installed, with accounts and directories, and is one that systemd takes", () => {
    assert.match(must("getent", "passwd", "jailer"), /:\/srv\/jailer:\/bin\/false$/m);
    must("getent", "group", "warder");
    assert.equal(must("stat", "--format=%U:%G %a", "/srv/jailer"), "jailer:jailer 755");
    assert.equal(must("stat", "--format=%U:%G %a", "/var/lib/warder"), "root:root 700");
    assert.equal(must("systemd-analyze", "verify", "--man=no", "/etc/systemd/system/warder.service"), "");
    assert.equal(property("warder", "LoadState"), "loaded");
    assert.doesNotMatch(must(warder, "install"), /^(create|replace|run) /m);
  });

  test("lets a jailed VM be started, proven, stopped and removed", () => {
    const { status, output } = life();
    assert.equal(status, 0, output);
  });

  test("lets networks be made, which all of the host see", () => {
    const { status, output } = confined(
      "set -e; ip netns add warder-life; ip netns exec warder-life ip link set lo up;" +
        " ip -n warder-life tuntap add tap0 mode tap; nft add table inet warder-life; nft delete table inet warder-life;" +
        " echo 1 > /proc/sys/net/ipv4/ip_forward; mknod /var/tmp/warder-life-block b 7 0; rm /var/tmp/warder-life-block",
    );
    assert.equal(status, 0, output);
    must("ip", "netns", "exec", "warder-life", "ip", "link", "show", "tap0");
    must("ip", "netns", "delete", "warder-life");
  });

  test("lets the kernel's log be read", () => {
    must("sysctl", "-qw", "kernel.dmesg_restrict=1");
    assert.equal(confined("dmesg").status, 0);
  });

  // What each is for, where it is not for the life of a VM.
  const otherUses: Readonly<Record<string, string>> = {
    CAP_NET_ADMIN: "ip link add warder-life type bridge",
  };
  for (const capability of [
    ...["CAP_SYS_ADMIN", "CAP_MKNOD", "CAP_CHOWN", "CAP_FOWNER", "CAP_SETUID", "CAP_SETGID", "CAP_DAC_OVERRIDE"],
    ...["CAP_KILL", "CAP_SYS_PTRACE", "CAP_NET_ADMIN"],
  ]) {
    test(`has ${capability} because something fails without it`, () => {
      assert.ok(capabilities().includes(capability));
      const without = capabilities().filter((each) => each !== capability);
      const lines = confinement().filter((line) => !line.startsWith("CapabilityBoundingSet="));
      const fewer = [...lines, `CapabilityBoundingSet=${without.join(" ")}`];
      const use = otherUses[capability];
      const { status, output } = use === undefined ? life(fewer) : confined(use, fewer);
      assert.notEqual(status, 0, output);
    });
  }

  test("has no other capability than these", () => assert.equal(new Set(capabilities()).size, 10));
});
