import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { warder } from "../../test/support/fake-terminal.ts";
import { commandList } from "./command-list.ts";
import { globalFlags } from "./global-flags.ts";
import { isAsked } from "./program.ts";
import { runFlags } from "./run-flags.ts";

/** No test here gets so far as to make it. */
const nowhere = join(tmpdir(), "warder-no-such-directory");

describe("help", () => {
  test("lists every command for people, in groups, with examples and exit statuses, and no other", async () => {
    const { status, stdout, stderr } = await warder("--help");
    assert.deepEqual([status, stderr], [0, ""]);
    for (const { name, group, summary } of commandList) {
      const isListed = stdout
        .split("\n")
        .some((line) => line.startsWith(`  ${name} `) && line.endsWith(`  ${summary}`));
      assert.equal(isListed, group !== undefined, name);
    }
    assert.match(stdout, /Start and stop VMs:[\s\S]*Look at VMs:[\s\S]*Look after this machine:/);
    assert.match(stdout, /Exit status:[\s\S]*Examples:[\s\S]*\$ warder run --probe[\s\S]*--state-dir/);
  });

  for (const { name, group } of commandList.filter((each) => each.group !== undefined)) {
    test(`of ${name} (${group}) has usage, every flag of all commands, and examples that call it`, async () => {
      const { status, stdout } = await warder(name, "--help");
      assert.equal(status, 0);
      assert.match(stdout, new RegExp(`^Usage: warder ${name} `));
      for (const { syntax } of Object.values(globalFlags)) assert.ok(stdout.includes(syntax), syntax);
      assert.match(stdout, new RegExp(`Examples:\\n  # .+\\n  \\$ .*warder ${name}`));
      assert.deepEqual(await warder("help", name), { status, stdout, stderr: "" });
      assert.deepEqual(
        stdout.split("\n").filter((line) => line.length > 130),
        [],
      );
    });
  }

  test("of run has each of its flags, in groups", async () => {
    const { stdout } = await warder("run", "--help");
    for (const { syntax } of Object.values(runFlags)) assert.ok(stdout.includes(syntax), syntax);
    assert.match(stdout, /What runs:[\s\S]*Limits:[\s\S]*Its jail:[\s\S]*How it runs:[\s\S]*Options of every command:/);
  });

  test("goes to standard error where nothing was asked for, as that is wrong", async () => {
    const { status, stdout, stderr } = await warder();
    assert.deepEqual([status, stdout], [2, ""]);
    assert.match(stderr, /^Usage: warder COMMAND/);
  });
});

describe("a wrong command line", () => {
  const wrong = async (args: readonly string[], ...lines: readonly (string | RegExp)[]) => {
    const { status, stdout, stderr } = await warder(...args);
    assert.deepEqual([status, stdout], [2, ""], stderr);
    for (const line of lines) {
      if (typeof line === "string") assert.ok(stderr.split("\n").includes(line), `${line} is missing in\n${stderr}`);
      else assert.match(stderr, line);
    }
  };

  test("an unknown command, with the one that was probably meant", () =>
    wrong(
      ["inspct", "vm-1"],
      /unknown command 'inspct' \[invalid-argument\]/,
      "  Did you mean `inspect`? See `warder --help`.",
    ));

  test("an unknown flag before the command", () => wrong(["--frob", "ps"], /unknown option '--frob'/));

  test("unknown flags, with those that were probably meant, and bad values, all at once", () =>
    wrong(
      ["run", "--memry", "512", "--vcpus", "two", "--pids=x", "--frobnicate=1"],
      /^warder: reading the command line of run: 5 arguments are wrong \[invalid-argument\]/,
      "  --memry: is not known. Did you mean --memory?",
      "  --frobnicate: is not known",
      '  --vcpus: must be a whole number, not "two"',
      '  --pids: must be a whole number, not "x"',
      "  --kernel: is needed, or --probe",
      "  See `warder run --help`.",
    ));

  test("a flag without its value, and what else is wrong", () =>
    wrong(
      ["run", "--memory", "x", "--id"],
      "  --id: needs a value",
      /--memory: must be a size/,
      /3 arguments are wrong/,
    ));

  test("a flag without its value where there is no command", () =>
    wrong(["--state-dir"], "  --state-dir: needs a value"));

  test("settings, beside what is wrong with the command", () =>
    wrong(
      ["stop", "--uid-range", "1", "--cgroup-version", "3", "--log-level", "loud", "--timeout", "x"],
      "  ID: is needed",
      /--uid-range: must be the first id and how many/,
      "  --cgroup-version: must be 1 to 2, not 3",
      /--log-level: must be debug, info, warn, error or silent, not "loud"/,
      /--timeout: must be a number of seconds/,
    ));

  test("settings alone are the configuration's own error", () =>
    wrong(
      ["ps", "--uid-range", "0:0"],
      /^warder: reading the configuration: one setting is wrong \[invalid-config\]/,
      /--uid-range: must/,
    ));

  test("too many arguments, each by itself", () =>
    wrong(["inspect", "a", "b", "c"], "  b: is one argument too many", "  c: is one argument too many"));

  test("flags of setup that need each other", () =>
    wrong(
      ["setup", "--sha256", "ab".repeat(32), "--release", "latest"],
      "  --sha256: needs --from",
      '  --release: must be a version such as 1.16.1, not "latest"',
    ));

  test("with --json it is a document, and told on standard error too", async () => {
    const { status, stdout, stderr } = await warder("run", "--json", "--vcpus", "99");
    assert.equal(status, 2);
    const { error } = JSON.parse(stdout) as { error: { code: string; fields: { field: string }[] } };
    assert.equal(error.code, "invalid-argument");
    assert.deepEqual(
      error.fields.map(({ field }) => field),
      ["--kernel", "--vcpus"],
    );
    assert.match(stderr, /2 arguments are wrong/);
  });

  test("control characters in it do not reach the terminal", () =>
    wrong(["ps", "a\u001b[31m"], "  a\\x1b[31m: is one argument too many"));
});

describe("global flags", () => {
  const settingsOf = async (...args: readonly string[]) => {
    const { stdout } = await warder(...args);
    const entries = JSON.parse(stdout) as { name: string; value: unknown; origin: string }[];
    return Object.fromEntries(entries.map(({ name, value, origin }) => [name, [value, origin]]));
  };

  test("may stand before and behind the command; the one behind it counts", async () => {
    const settings = await settingsOf(
      "--json",
      "--state-dir",
      "/a",
      "--chroot-base",
      "/b",
      "config",
      "--state-dir",
      "/c",
    );
    assert.deepEqual(
      [settings.state_dir, settings.chroot_base],
      [
        ["/c", "flag"],
        ["/b", "flag"],
      ],
    );
  });

  test("each is a setting", async () => {
    const settings = await settingsOf(
      ...["config", "--json", "--firecracker", "/f", "--jailer", "/j", "--uid-range", "600000:5"],
      ...["--cgroup-version", "2", "--log-level", "debug", "--no-color"],
    );
    assert.deepEqual(settings.firecracker, ["/f", "flag"]);
    assert.deepEqual(settings.jailer, ["/j", "flag"]);
    assert.deepEqual(settings.uid_range, ["600000:5", "flag"]);
    assert.deepEqual(settings.cgroup_version, [2, "flag"]);
    assert.deepEqual(settings.log_level, ["debug", "flag"]);
  });

  test("a table of settings names the flag or the environment", async () => {
    const { stdout } = await warder("config", "--uid-range", "600000:5");
    assert.match(stdout, /^SETTING +VALUE +FROM +VARIABLE\n/);
    assert.match(stdout, /^uid_range +600000:5 +--uid-range +WARDER_UID_RANGE$/m);
    assert.match(stdout, /^parent_cgroup +jailer +default +WARDER_PARENT_CGROUP$/m);
  });

  test("any setting can be given by its name, and is refused by it", async () => {
    const settings = await settingsOf(
      "config",
      "--json",
      "--preset",
      "production",
      "--set",
      "server.port=1",
      "--set",
      "jail.pids=9",
    );
    assert.deepEqual(settings["server.port"], [1, "flag"]);
    assert.deepEqual(settings["jail.pids"], [9, "flag"]);
    assert.deepEqual(settings["jail.open_files"], [2048, "preset"]);
    const { status, stderr } = await warder("config", "--set", "server.port=x", "--set", "nothing");
    assert.equal(status, 2);
    assert.match(stderr, /--set server\.port: must be 0 to 65535, not "x"/);
    assert.match(stderr, /--set: must be a setting and its value/);
  });

  test("a secret is not shown", async () => {
    const settings = await settingsOf("config", "--json", "--set", "tracing.headers=authorization=s3cret");
    assert.deepEqual(settings["tracing.headers"], ["(secret)", "flag"]);
  });

  test("are looked for up to the end of flags", () => {
    assert.equal(isAsked(["ps", "--json"], "--json"), true);
    assert.equal(isAsked(["ps", "--", "--json"], "--json"), false);
  });
});

describe("version", () => {
  const gone = ["--firecracker", `${nowhere}/firecracker`, "--jailer", `${nowhere}/jailer`];

  test("in one line", async () => {
    for (const flag of ["--version", "-V"]) {
      const { status, stdout } = await warder(flag);
      assert.equal(status, 0);
      assert.match(stdout, /^warder \d+\.\d+\.\d+\n$/);
    }
  });

  test("of everything, whether or not there is a Firecracker", async () => {
    const { status, stdout } = await warder("version", ...gone);
    assert.equal(status, 0);
    assert.match(stdout, /^warder +\d[\s\S]*\nnode +\d[\s\S]*\nfirecracker +.*does not exist/);
    const document = JSON.parse((await warder("version", "--json", ...gone)).stdout) as Record<string, unknown>;
    assert.deepEqual(Object.keys(document), ["warder", "node", "firecracker"]);
  });
});
