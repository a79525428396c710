import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { connectApi } from "../../src/lifecycle/api.ts";
import type { Vm } from "../../src/lifecycle/vm.ts";
import type { Warder } from "../../src/lifecycle/warder.ts";
import { isWarderError } from "../../src/vm/error.ts";
import type { VmSpecInput } from "../../src/vm/spec.ts";
import { requires } from "../support/capability.ts";
import { guest, openFixture } from "../support/warder-fixture.ts";
import { openCli, program } from "./cli-fixture.ts";

const needs = requires("root", "kvm", "real-binaries", "tap");
const code = (wanted: string) => (error: unknown) => isWarderError(error) && error.code === wanted;

const spec = (metadata: NonNullable<VmSpecInput["metadata"]>): VmSpecInput => ({
  kernel: guest("idle"),
  networks: [{ mode: "isolated" }],
  metadata,
});

/** What Firecracker itself serves, and how. */
async function served({ machinery }: Warder, vm: Vm): Promise<{ data: unknown; config: unknown }> {
  const client = connectApi(machinery.host, vm.record);
  try {
    return { data: await client.mmds(), config: (await client.vmConfig())["mmds-config"] };
  } finally {
    client.close();
  }
}

describe("a VM's metadata", needs, () => {
  test("are there before the guest runs, by version 2, and lie on no disk afterwards", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const vm = await fixture.warder.run(spec({ data: { role: "db", secret: "s3" } }));
    assert.equal(vm.inspect().isolation?.level, "proven", String(vm.inspect().isolation?.gaps));
    const { data, config } = await served(fixture.warder, vm);
    assert.deepEqual(data, { role: "db", secret: "s3" });
    assert.deepEqual(
      JSON.parse(JSON.stringify(config), (_key, value) => value ?? undefined),
      {
        network_interfaces: ["eth0"],
        version: "V2",
        ipv4_address: "169.254.169.254",
      },
    );
    assert.ok(!fs.existsSync(`${vm.inspect().jail.root}/metadata`));
    await vm.remove({ force: true });
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("are set and patched while it runs, and kept for its next run", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run(spec({ address: "169.254.1.2" }));
    assert.deepEqual(vm.metadata.get(), {});
    await vm.metadata.set({ a: { b: 1, c: 2 } });
    await vm.metadata.patch({ a: { b: null }, d: "e" });
    assert.deepEqual(vm.metadata.get(), { a: { c: 2 }, d: "e" });
    assert.deepEqual((await served(fixture.warder, vm)).data, { a: { c: 2 }, d: "e" });
    await vm.kill();
    await vm.metadata.patch({ d: "f" });
    await vm.start();
    assert.deepEqual((await served(fixture.warder, vm)).data, { a: { c: 2 }, d: "f" });
  });

  test("may be larger where that was asked for, and never larger than that", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run(spec({ limitBytes: 100_000 }));
    const large = { text: "x".repeat(90_000) };
    await vm.metadata.set(large);
    assert.deepEqual((await served(fixture.warder, vm)).data, large);
    await assert.rejects(vm.metadata.patch({ more: "x".repeat(10_000) }), code("invalid-argument"));
    await assert.rejects(vm.metadata.set([1]), code("invalid-argument"));
    assert.deepEqual(vm.metadata.get(), large);
  });

  test("are none where none were asked for, and need an interface", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({ kernel: guest("idle") });
    assert.throws(() => vm.metadata.get(), code("wrong-state"));
    await assert.rejects(vm.metadata.set({}), code("wrong-state"));
    await assert.rejects(fixture.warder.run({ kernel: guest("idle"), metadata: {} }), /needs a network interface/);
  });
});

test("warder metadata gets, sets and patches", needs, async () => {
  await using cli = openCli();
  const id = cli.id("md");
  const file = `${cli.stateDir}.json`;
  fs.writeFileSync(file, '{"role": "db", "old": 1}');
  const flags = ["--kernel", guest("idle"), "--id", id, "--net", "isolated", "--metadata", file];
  await cli.json("run", "--detach", ...flags);
  assert.deepEqual(await cli.json("metadata", id, "get"), { role: "db", old: 1 });
  const patching = spawn(program, ["metadata", id, "patch", "--json"], { env: cli.environment, stdio: "pipe" });
  let printed = "";
  patching.stdout.on("data", (data: Buffer) => {
    printed += data;
  });
  patching.stdin.end('{"old": null, "new": 2}');
  assert.deepEqual(await once(patching, "close"), [0, null]);
  assert.deepEqual(JSON.parse(printed), { role: "db", new: 2 });
  fs.writeFileSync(file, "[]");
  const bad = await cli.run("metadata", id, "set", file);
  assert.equal(bad.status, 2, bad.stderr);
  assert.equal((await cli.run("metadata", id, "drop")).status, 2);
  assert.equal((await cli.run("metadata", id, "set", "/no/such/file")).status, 2);
  assert.equal((await cli.run("metadata", "no-such", "get")).status, 4);
  assert.equal((await cli.run("run", "--kernel", "/k", "--metadata", file, "--net", "isolated")).status, 2);
});
