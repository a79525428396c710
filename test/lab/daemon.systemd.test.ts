import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { requires } from "../support/capability.ts";
import { realBinaries } from "../support/capability-probes.ts";
import { must, PATIENCE_MS, projectRoot, property, run, warder } from "../support/confined-unit.ts";

const directory = fs.mkdtempSync("/var/tmp/warder-daemon-");
const log = `${directory}/log`;
const disk = `${directory}/disk`;

const BOOT = "console=ttyS0 reboot=k panic=-1 quiet tsc=reliable no_timer_check mitigations=off";
const COUNT = "i=0; while :; do i=$((i+1)); echo count $i; sleep 1; done";

/** A call as metald's guide has it: no header but curl's own. */
function call<T>(name: string, body: unknown): T {
  const url = `http://localhost:8080/vmprovisioner.v1.VmService/${name}`;
  return JSON.parse(must("curl", "-sS", "--max-time", "500", "-X", "POST", url, "-d", JSON.stringify(body))) as T;
}

const stateOf = (id: string) => call<{ state: string }>("GetVmInfo", { vm_id: id }).state;

const pidOf = (id: string) => {
  const [pid = ""] = fs.readFileSync(`/sys/fs/cgroup/jailer/${id}/cgroup.procs`, "utf8").trim().split("\n");
  assert.match(fs.readFileSync(`/proc/${pid}/cmdline`, "utf8"), new RegExp(`--id\0${id}\0`));
  return pid;
};

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!holds()) {
    assert.ok(Date.now() < deadline, `never: ${what}`);
    await pause(500);
  }
}

/** How far the guest has counted. */
function counted(id: string): number {
  const path = `/var/lib/warder/vms/${id}/console`;
  const console = fs.existsSync(path) ? fs.readFileSync(path, "utf8") : "";
  return Math.max(0, ...[...console.matchAll(/^count (\d+)/gm)].map(([, number]) => Number(number)));
}

function writeSettings(...lines: readonly string[]): void {
  fs.writeFileSync("/etc/warder/warder.toml", `${lines.join("\n")}\n`);
}

const settings = [
  'preset = "production"',
  "allow_test_binaries = true",
  `server.asset_dirs = ["${directory}"]`,
  // In production a processor is for one VM, and the lab has one.
  "admission.cpu_overcommit = 2",
];

function install(): void {
  const { firecracker, jailer } = realBinaries() ?? assert.fail();
  fs.mkdirSync("/etc/warder", { recursive: true });
  writeSettings(...settings, `firecracker = "${firecracker}"`, `jailer = "${jailer}"`);
  must(warder, "install");
  fs.mkdirSync("/run/systemd/system/warder.service.d", { recursive: true });
  fs.writeFileSync(
    "/run/systemd/system/warder.service.d/log.conf",
    `[Service]\nStandardOutput=append:${log}\nStandardError=append:${log}\nTimeoutStartSec=600\n`,
  );
  must("systemctl", "daemon-reload");
}

describe("the daemon under systemd", {
  ...requires("in-lab", "systemd", "real-binaries"),
  timeout: 20 * PATIENCE_MS,
}, () => {
  const id = "vm-1645123456789";
  let pid = "";

  before(() => {
    execFileSync(join(projectRoot, "lab/linux-guest.sh"), [directory]);
    fs.writeFileSync(disk, Buffer.alloc(1 << 20));
    install();
  });
  after(() => {
    run("systemctl", "stop", "warder");
    run(warder, "rm", "--force", id);
    fs.rmSync(directory, { recursive: true });
  });

  test("starts, and says so when it serves", () => {
    must("systemctl", "start", "warder");
    assert.equal(property("warder", "ActiveState"), "active");
    assert.match(must("curl", "-sS", "http://localhost:8080/health"), /ok/);
    const main = property("warder", "MainPID");
    assert.equal(fs.readlinkSync(`/proc/${main}/ns/mnt`), fs.readlinkSync("/proc/1/ns/mnt"));
  });

  test("boots a Linux guest, jailed, with a cgroup outside its own", async () => {
    const config = {
      cpu: { vcpu_count: 1 },
      memory: { size_bytes: 201_326_592 },
      boot: {
        kernel_path: `${directory}/vmlinux`,
        initrd_path: `${directory}/initrd`,
        kernel_args: `${BOOT} -- ${COUNT}`,
      },
      storage: [{ path: disk, is_root_device: true }],
    };
    assert.equal(call<{ vmId: string }>("CreateVm", { vm_id: id, config }).vmId, id);
    call("BootVm", { vm_id: id });
    assert.equal(stateOf(id), "VM_STATE_RUNNING");
    pid = pidOf(id);
    await until("the guest counts", () => counted(id) > 0);
  });

  test("is stopped and started again with the VM alive and taken over", async () => {
    must("systemctl", "stop", "warder");
    assert.equal(property("warder", "ActiveState"), "inactive");
    assert.equal(pidOf(id), pid);
    must("systemctl", "start", "warder");
    assert.equal(stateOf(id), "VM_STATE_RUNNING");
    assert.equal(pidOf(id), pid);
    const before = counted(id);
    await until("the guest counts on, and is heard", () => counted(id) > before + 1);
  });

  test("is killed, and comes back with the VM alive", async () => {
    const main = property("warder", "MainPID");
    process.kill(Number(main), "SIGKILL");
    await until("systemd has started it again", () => {
      return property("warder", "ActiveState") === "active" && property("warder", "MainPID") !== main;
    });
    assert.equal(stateOf(id), "VM_STATE_RUNNING");
    assert.equal(pidOf(id), pid);
  });

  test("reads its settings again, and keeps them where the new ones are wrong", async () => {
    const usual = fs.readFileSync("/etc/warder/warder.toml", "utf8");
    writeSettings(usual, "server.port = 1", "quota.vms = 7");
    must("systemctl", "reload", "warder");
    await until("it says what has changed", () => /"applied":\["quota.vms"\]/.test(fs.readFileSync(log, "utf8")));
    assert.match(fs.readFileSync(log, "utf8"), /"waiting_for_restart":\["server.port"\]/);
    writeSettings(usual, "server.prot = 1", "quota.vms = -1");
    must("systemctl", "reload", "warder");
    await until("it says what is wrong", () => /Did you mean server\.port\?/.test(fs.readFileSync(log, "utf8")));
    assert.match(fs.readFileSync(log, "utf8"), /quota\.vms \(\/etc\/warder\/warder\.toml:\d+\)/);
    fs.writeFileSync("/etc/warder/warder.toml", usual);
    must("systemctl", "reload", "warder");
  });

  test("does not start with settings that are wrong", () => {
    const usual = fs.readFileSync("/etc/warder/warder.toml", "utf8");
    must("systemctl", "stop", "warder");
    writeSettings(usual, "server.port = 99999", "jail.pids = 0");
    assert.notEqual(run("systemctl", "start", "warder").status, 0);
    run("systemctl", "stop", "warder");
    fs.writeFileSync("/etc/warder/warder.toml", usual);
    run("systemctl", "reset-failed", "warder");
    must("systemctl", "start", "warder");
    assert.equal(pidOf(id), pid);
  });

  test("a host of metald's is migrated in its five steps", () => {
    const environment = `${directory}/metald.env`;
    fs.writeFileSync(
      environment,
      [
        "export UNKEY_METALD_BACKEND=firecracker",
        "export UNKEY_METALD_JAILER_ENABLED=false",
        "export UNKEY_METALD_JAILER_CPU_QUOTA=100           # 1 CPU core (100%)",
        'UNKEY_METALD_OTEL_SERVICE_NAME="metald"',
        "",
      ].join("\n"),
    );
    const migrate = () => must("env", `WARDER=${warder}`, join(projectRoot, "deploy/migrate"), "--env", environment);
    const output = migrate();
    for (const step of [1, 2, 3, 4, 5]) assert.match(output, new RegExp(`^${step}/5 `, "m"));
    assert.match(output, /runs, jailed in \/srv\/jailer\/firecracker\/vm-\d+\/root$/m);
    assert.match(output, /memory\.peak \d+ of \d+$/m);
    assert.match(output, /is removed again$/m);
    assert.equal(
      fs.readFileSync("/etc/warder/warder.env", "utf8").trim().split("\n").sort().join("\n"),
      [
        "UNKEY_METALD_BACKEND=firecracker",
        "UNKEY_METALD_JAILER_CPU_QUOTA=100",
        "UNKEY_METALD_JAILER_ENABLED=true",
        "UNKEY_METALD_OTEL_SERVICE_NAME=metald",
      ].join("\n"),
    );
    assert.equal(pidOf(id), pid);
    fs.rmSync("/etc/warder/warder.env");
  });

  test("is removed with the VM alive", () => {
    must(warder, "install", "--uninstall");
    assert.equal(property("warder", "LoadState"), "not-found");
    assert.equal(pidOf(id), pid);
    run("systemctl", "stop", "warder");
    must(warder, "kill", id);
    must(warder, "rm", id);
    assert.ok(!fs.existsSync(`/sys/fs/cgroup/jailer/${id}`));
    assert.ok(!fs.existsSync(`/srv/jailer/${id}`));
  });
});
