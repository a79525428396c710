import assert from "node:assert/strict";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { requires } from "../support/capability.ts";
import { type Cli, openCli } from "./cli-fixture.ts";

const real = requires("root", "kvm", "real-binaries");

interface ErrorDocument {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly doing: string;
    readonly why: string;
    readonly fields?: readonly { readonly field: string; readonly problem: string }[];
  };
}

interface Case {
  readonly what: string;
  readonly args: (cli: Cli) => readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly status: number;
  readonly code: string;
  /** Flags that the error names. */
  readonly fields?: readonly string[];
  /** What the message must say. */
  readonly says?: RegExp;
}

const run = (...args: readonly string[]) => {
  return () => ["run", ...args];
};

const cases: readonly Case[] = [
  {
    what: "flags that are wrong, all at once",
    args: run("--kernel", "/k", "--memory", "1", "--vcpus", "x", "--bogus", "--id", "a_b"),
    status: 2,
    code: "invalid-argument",
    fields: ["--bogus", "--vcpus", "--id", "--memory"],
  },
  { what: "no guest", args: run(), status: 2, code: "invalid-argument", fields: ["--kernel"] },
  {
    what: "an id that is Firecracker's own name",
    args: run("--probe", "--id", "firecracker"),
    status: 2,
    code: "invalid-argument",
    fields: ["--id"],
  },
  {
    what: "a setting of the environment that is wrong",
    args: run("--probe"),
    environment: { WARDER_UID_RANGE: "none" },
    status: 2,
    code: "invalid-config",
    fields: ["WARDER_UID_RANGE"],
  },
  {
    what: "files that are not there, all at once",
    args: run("--kernel", "/nowhere/k", "--initrd", "/nowhere/i", "--rootfs", "/nowhere/r", "--drive", "d=/nowhere/d"),
    status: 1,
    code: "asset-missing",
    fields: ["--kernel", "--initrd", "--rootfs", "--drive"],
    says: /\/nowhere\/d is not there/,
  },
  {
    what: "a kernel that is none",
    args: run("--kernel", "/etc/passwd"),
    status: 1,
    code: "asset-unfit",
    fields: ["--kernel"],
  },
  {
    what: "a directory for a disk",
    args: run("--probe", "--rootfs", "/etc"),
    status: 1,
    code: "asset-unfit",
    fields: ["--rootfs"],
  },
  {
    what: "a network namespace that is not there",
    args: run("--probe", "--netns", "/run/netns/nowhere"),
    status: 1,
    code: "jailer-failed",
    says: /\/run\/netns\/nowhere/,
  },
  {
    what: "binaries that are not there",
    args: run("--probe", "--firecracker", "/nowhere/firecracker", "--jailer", "/nowhere/jailer"),
    status: 1,
    code: "binary-missing",
  },
  {
    what: "a binary that is none",
    args: run("--probe", "--firecracker", "/bin/sh", "--jailer", "/bin/sh"),
    status: 1,
    code: "binary-unfit",
  },
  {
    what: "a socket path that is too long",
    args: run("--probe", "--id", "x".repeat(64)),
    status: 1,
    code: "socket-path-too-long",
  },
  { what: "no jailer under strict", args: run("--probe", "--unjailed"), status: 3, code: "unjailed-refused" },
  {
    what: "no jailer in production, whatever is asked for",
    args: run("--probe", "--unjailed", "--isolation", "degrade"),
    environment: { WARDER_ENV: "production" },
    status: 3,
    code: "unjailed-refused",
  },
  {
    what: "a cgroup version that the host lacks, or a controller",
    args: run("--probe", "--cgroup-version", fs.existsSync("/sys/fs/cgroup/cgroup.controllers") ? "1" : "2"),
    status: 1,
    code: "cgroup-unavailable",
  },
  { what: "a VM that is not there", args: () => ["inspect", "nope"], status: 4, code: "vm-not-found" },
  { what: "logs of a VM that is not there", args: () => ["logs", "-f", "nope"], status: 4, code: "vm-not-found" },
  { what: "the use of a VM that is not there", args: () => ["stats", "nope"], status: 4, code: "vm-not-found" },
  { what: "an id that can be none", args: () => ["inspect", "a/b"], status: 2, code: "invalid-argument" },
  {
    what: "an unknown command",
    args: () => ["strat"],
    status: 2,
    code: "invalid-argument",
    says: /Did you mean `start`/,
  },
  {
    what: "a state directory that is a file",
    args: () => ["ps", "--state-dir", "/etc/passwd"],
    status: 1,
    code: "jail-exists",
    says: /making the directory \/etc\/passwd: something else lies there/,
  },
];

describe("an error", real, () => {
  for (const { what, args, environment, status, code, fields, says } of cases) {
    test(`of ${what} is told once for people and once for programs, and changes nothing`, async () => {
      await using cli = openCli(environment);
      const before = cli.snapshot();
      const forPeople = await cli.run(...args(cli));
      assert.deepEqual([forPeople.status, forPeople.stdout], [status, ""], forPeople.stderr);
      const heads = forPeople.stderr.split("\n").filter((line) => line.startsWith("warder: "));
      assert.equal(heads.length, 1, forPeople.stderr);
      assert.match(forPeople.stderr, new RegExp(`\\[${code}\\]$`, "m"));
      if (says !== undefined) assert.match(forPeople.stderr, says);
      for (const field of fields ?? []) assert.match(forPeople.stderr, new RegExp(`^  ${field}: `, "m"));

      const forPrograms = await cli.run(...args(cli), "--json");
      assert.equal(forPrograms.status, status);
      assert.equal(forPrograms.stdout.trimEnd().split("\n").length, 1);
      const { error } = JSON.parse(forPrograms.stdout) as ErrorDocument;
      assert.equal(error.code, code);
      assert.ok(error.message.startsWith(`${error.doing}: ${error.why}`));
      assert.deepEqual((error.fields ?? []).map(({ field }) => field).sort(), [...(fields ?? fieldsOf(error))].sort());
      assert.deepEqual(cli.snapshot(), before);
    });
  }
});

/** Where a case names none, any will do. */
function fieldsOf({ fields = [] }: ErrorDocument["error"]): string[] {
  return fields.map(({ field }) => field);
}
