import assert from "node:assert/strict";
import * as fs from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { controlNames, type PhaseProof, proveHeld, reportIsolation } from "../../src/isolation/prove.ts";
import type { WantedIsolation } from "../../src/isolation/wanted.ts";
import { requires } from "../support/capability.ts";
import type { Deviation } from "../support/isolation-deviation.ts";
import { HeldFirecracker } from "../support/isolation-jail.ts";
import { cgroupLimits, cgroupVersion, controllers, foundIn, gapsOf, leftovers } from "../support/isolation-machine.ts";

describe("a real Firecracker that waits in the real jailer", requires("root", "kvm", "netns", "real-binaries"), () => {
  /** Proof of a Firecracker at its hold point, once something was done to it. */
  async function held(
    deviation: Deviation,
    happening: (vm: HeldFirecracker, wanted: WantedIsolation) => Partial<WantedIsolation> | undefined = () => undefined,
  ): Promise<PhaseProof> {
    await using vm = await HeldFirecracker.start(deviation);
    const wanted = vm.wanted();
    return proveHeld(vm.host, vm.process, { ...wanted, ...happening(vm, wanted) });
  }

  it("is gone when it was killed, and each control is unread, not wrong", async () => {
    await using vm = await HeldFirecracker.start();
    const wanted = vm.wanted();
    await vm.kill();
    const proof = proveHeld(vm.host, vm.process, wanted);
    assert.deepEqual(proof, { phase: "held", vanished: true, controls: [], unread: controlNames(wanted, "held") });
  });

  it("lets no descriptor through that the jailer was given", async () => {
    assert.deepEqual(gapsOf(await held({ inherited: "/etc/passwd" })), []);
  });

  const gaps: [what: string, gaps: string[], ...Parameters<typeof held>][] = [
    ["a user that was not asked for", ["uid", "gid"], { uid: 61_235 }],
    ["no memory limit", [...(cgroupVersion === 1 ? ["cgroup.memory"] : []), "limit.memory"], { memory: "none" }],
    ["another memory limit", ["limit.memory"], { memory: "400000000" }],
    ["another limit of open files", ["limit.open-files"], { openFiles: 1500 }],
    ["the host's network instead of its own", ["network-namespace"], { netns: "ignored" }],
    ["standard input from a file", ["descriptors"], { input: "/etc/passwd" }],
    ["a mount in the jail", ["mounts"], { mount: true }],
    ["filters switched off", ["command-line"], { firecrackerArgs: ["--no-seccomp"] }],
    [
      "a limit that was changed after the start",
      ["limit.pids"],
      {},
      (vm) => void fs.writeFileSync(join(vm.cgroup("pids"), cgroupLimits.pids.file), "4096"),
    ],
    [
      "another directory at the path of its root",
      ["root", "executable"],
      {},
      (vm) => {
        fs.renameSync(vm.root, `${vm.root}.old`);
        fs.mkdirSync(vm.root);
        return undefined;
      },
    ],
    [
      "a program in the place of the one that it runs",
      ["executable"],
      {},
      (vm) => {
        fs.renameSync(vm.executable, join(vm.root, "old"));
        fs.copyFileSync(join(vm.root, "old"), vm.executable);
        return undefined;
      },
    ],
    ["the pid namespace of the host", ["pid-namespace"], {}, () => ({ newPidNamespace: true })],
    [
      "a pid namespace that nobody asked for",
      ["pid-namespace"],
      { newPidNamespace: true },
      () => ({ newPidNamespace: false }),
    ],
    [
      "another root than was made for it",
      ["root", "working-directory"],
      {},
      (vm, { jail }) => {
        assert.ok(jail);
        const { dev, ino } = fs.statSync(join(vm.root, "io"));
        return { jail: { ...jail, rootIdentity: { device: dev, inode: ino } } };
      },
    ],
    ["CPUs that were not asked for", ["cpus"], {}, () => ({ cpus: "4095" })],
    ["no label where one was asked for", ["mac-label"], {}, () => ({ label: "warder-test (enforce)" })],
    ["no limit of file sizes", ["limit.file-size"], {}, () => ({ fileSizeBytes: 1_048_576 })],
  ];
  for (const [what, names, deviation, happening] of gaps) {
    it(`is caught with ${what}: ${names.join(", ")}`, async () => {
      assert.deepEqual(gapsOf(await held(deviation, happening)), names);
    });
  }

  it("without the jailer is unjailed: each control that the jailer gives is a gap", async () => {
    const environment = { WARDER_TEST: "1" };
    await using vm = await HeldFirecracker.start({ jailed: false, inherited: "/etc/passwd", environment });
    const wanted = vm.wanted();
    const proof = proveHeld(vm.host, vm.process, wanted);
    const report = reportIsolation("degrade", wanted, { held: proof });
    assert.equal(report.level, "unjailed");
    assert.match(foundIn(proof, "descriptors") ?? "", /^3 is \/etc\/passwd \(file\)/);
    // Node adds a variable of its own where coverage is measured.
    assert.match(foundIn(proof, "environment") ?? "", /^WARDER_TEST\b/);
    const gaps = new Set(gapsOf(proof));
    const always = [
      "root",
      "working-directory",
      "executable",
      "mounts",
      "mount-namespace",
      "uid",
      "gid",
      "capabilities",
    ];
    const cgroup = controllers.flatMap((name) => [`cgroup.${name}`, `limit.${name}`]);
    for (const name of [...always, ...cgroup, "descriptors", "environment"]) assert.ok(gaps.has(name), name);
  });

  after(() => {
    assert.deepEqual(leftovers(), []);
  });
});
