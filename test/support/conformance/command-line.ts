/** The jailer's command line: what it refuses, in which words, and that it then has touched nothing. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, readdirSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, it } from "node:test";
import { releaseOf } from "../../../src/testing/common/release.ts";
import { Bench } from "./bench.ts";
import { assertArgumentError, assertJailerError, osError } from "./expect.ts";
import type { Subject } from "./subject.ts";

const UNEXPECTED = "which wasn't expected, or isn't valid in this context.";

export function commandLineCases(subject: Subject): void {
  describe("the jailer's command line", () => {
    it("prints the version, whatever stands around the flag", async (t) => {
      const bench = new Bench(subject, t);
      const { stdout, code } = await bench.jailer(["--id", "a_b", "--version", "--bogus"]);
      assert.deepEqual({ stdout, code }, { stdout: `Jailer v${subject.version}\n\n`, code: 0 });
    });

    it("describes every flag in its help", async (t) => {
      const bench = new Bench(subject, t);
      const { stdout, code } = await bench.jailer(["--help"]);
      assert.equal(code, 0);
      assert.match(stdout, /^required arguments:\n {2}--exec-file <exec-file> {3}File path to exec into\.$/m);
      assert.match(stdout, /^ {2}--cgroup-version <cgroup-version> .*\[default: "1"\]$/m);
      assert.match(stdout, /^Any arguments after the -- separator will be supplied to the jailed binary\.$/m);
    });

    for (const name of ["exec-file", "gid", "id", "uid"]) {
      it(`needs --${name}`, async (t) => {
        const bench = new Bench(subject, t);
        const result = await bench.jailVersion({ [name]: undefined });
        const message = `Argument '${name}' required, but not found.`;
        assertArgumentError(result, message, `MissingArgument("${name}")`);
      });
    }

    it("names the alphabetically first of several missing flags", async (t) => {
      const bench = new Bench(subject, t);
      const message = "Argument 'exec-file' required, but not found.";
      assertArgumentError(await bench.jailer([]), message, 'MissingArgument("exec-file")');
    });

    it("refuses --name=value", async (t) => {
      const bench = new Bench(subject, t);
      const result = await bench.jailer([`--id=${bench.id}`]);
      const word = `id=${bench.id}`;
      assertArgumentError(result, `Found argument '${word}' ${UNEXPECTED}`, `UnexpectedArgument("${word}")`);
    });

    it("refuses flags that it does not know, and words that are no flags", async (t) => {
      const bench = new Bench(subject, t);
      for (const [argument, name] of [
        ["--bogus", "bogus"],
        ["bogus", "bogus"],
        ["-x", "-x"],
      ] as const) {
        const result = await bench.jailVersion({}, [argument]);
        assertArgumentError(result, `Found argument '${name}' ${UNEXPECTED}`, `UnexpectedArgument("${name}")`);
      }
    });

    it("refuses a flag given twice, with and without a value", async (t) => {
      const bench = new Bench(subject, t);
      for (const again of [
        ["--id", "x"],
        ["--daemonize", "--daemonize"],
      ]) {
        const name = again[0]?.slice(2);
        const message = `The argument '${name}' was provided more than once.`;
        assertArgumentError(await bench.jailVersion({}, again), message, `DuplicateArgument("${name}")`);
      }
    });

    it("takes no value that starts with two dashes", async (t) => {
      const bench = new Bench(subject, t);
      for (const argv of [["--id"], ["--id", "--uid", "5"], ["--cgroup", "--daemonize"]]) {
        const name = argv[0]?.slice(2);
        const message = `The argument '${name}' requires a value, but none was supplied.`;
        assertArgumentError(await bench.jailer(argv), message, `MissingValue("${name}")`);
      }
    });

    it("leaves what comes after -- to Firecracker", async (t) => {
      const bench = new Bench(subject, t);
      const { stdout, code } = await bench.jailVersion();
      assert.match(stdout, new RegExp(`^Firecracker v${subject.version}\n\n.*Firecracker exiting successfully.`));
      assert.equal(code, 0);
    });
  });

  describe("the jailer's checks", () => {
    const refused: readonly (readonly [what: string, flags: Record<string, string>, message: string, debug: string])[] =
      [
        [
          "an id with an underscore",
          { id: "a_b" },
          ...idProblem("Invalid char (_) at position 1", "InvalidChar('_', 1)"),
        ],
        ["an id with a dot", { id: ".." }, ...idProblem("Invalid char (.) at position 0", "InvalidChar('.', 0)")],
        ["an id with a slash", { id: "a/b" }, ...idProblem("Invalid char (/) at position 1", "InvalidChar('/', 1)")],
        ["an empty id", { id: "" }, ...idLength(0)],
        ["an id of 65 bytes", { id: "x".repeat(65) }, ...idLength(65)],
        ["an id of 33 letters of two bytes", { id: "é".repeat(33) }, ...idLength(66)],
        ["a uid that is no number", { uid: "x" }, "Invalid uid: x", 'Uid("x")'],
        ["a negative uid", { uid: "-1" }, "Invalid uid: -1", 'Uid("-1")'],
        ["a uid of 33 bits", { uid: "4294967296" }, "Invalid uid: 4294967296", 'Uid("4294967296")'],
        ["a gid that is no number", { gid: "" }, "Invalid gid: ", 'Gid("")'],
        ["a missing exec file", { "exec-file": "/nope" }, ...canonicalize("/nope")],
        ["a missing base", { "chroot-base-dir": "/nope" }, ...canonicalize("/nope")],
        ["an exec file that is a directory", { "exec-file": "/usr" }, "/usr is not a file", 'NotAFile("/usr")'],
        [
          "a base that is a file",
          { "chroot-base-dir": "/etc/passwd" },
          "/etc/passwd is not a directory",
          'NotADirectory("/etc/passwd")',
        ],
        ["an absolute parent cgroup", { "parent-cgroup": "/a" }, ...parentCgroup()],
        ["a parent cgroup that climbs", { "parent-cgroup": "a/../b" }, ...parentCgroup()],
        ["a cgroup version that is no number", { "cgroup-version": "x" }, ...cgroupVersion("x")],
        ["a cgroup version of nine bits", { "cgroup-version": "256" }, ...cgroupVersion("256")],
      ];

    for (const [what, flags, message, debug] of refused) {
      it(`refuse ${what}, and leave nothing behind`, async (t) => {
        const bench = new Bench(subject, t);
        assertJailerError(subject, await bench.jailVersion(flags), message, debug);
        assert.deepEqual(readdirSync(bench.jails), []);
      });
    }

    it("report the first mistake of several", async (t) => {
      const bench = new Bench(subject, t);
      const result = await bench.jailVersion({ uid: "x", gid: "y", "exec-file": "/nope" });
      assertJailerError(subject, result, ...canonicalize("/nope"));
    });

    it("take an id of 64 bytes, and letters of any alphabet", async (t) => {
      const bench = new Bench(subject, t);
      for (const id of ["x".repeat(64), "é-Ж-9"]) {
        assertJailerError(subject, await bench.jailVersion({ id, uid: "x" }), "Invalid uid: x", 'Uid("x")');
      }
    });

    it("look at the name of the exec file until 1.12", async (t) => {
      const bench = new Bench(subject, t);
      const file = bench.write(bench.path("vmm"), "#!/bin/sh\nexit 7\n");
      chmodSync(file, 0o755);
      const result = await bench.jailVersion({ "exec-file": file, uid: "x" });
      const rule = "The filename of `--exec-file` option must contain";
      if (!releaseOf(subject.version).execNameRule) assertJailerError(subject, result, "Invalid uid: x", 'Uid("x")');
      else assertJailerError(subject, result, `Invalid filename. ${rule} "firecracker": vmm`, 'ExecFileName("vmm")');
    });

    it("resolve links: the binary's own name is the jail's", async (t) => {
      const bench = new Bench(subject, t);
      const [link, base] = [bench.path("vmm-link"), bench.path("base-link")];
      symlinkSync(subject.firecracker, link);
      symlinkSync(bench.jails, base);
      const { code } = await bench.jailVersion({ "exec-file": link, "chroot-base-dir": base });
      assert.equal(code, 0);
      assert.ok(existsSync(join(bench.root, basename(subject.firecracker))));
    });

    const limits: readonly (readonly [limit: string, message: string, debug: string])[] = [
      ["fsize", "Invalid format for resources limits: fsize", 'ResLimitFormat("fsize")'],
      ["bogus=1", "Invalid resource argument: bogus", 'ResLimitArgument("bogus")'],
      ["fsize=", ...limitValue("", "cannot parse integer from empty string")],
      ["no-file=-1", ...limitValue("-1", "invalid digit found in string")],
      ["fsize=99999999999999999999", ...limitValue("99999999999999999999", "number too large to fit in target type")],
    ];
    for (const [limit, message, debug] of limits) {
      it(`refuse the limit ${limit}`, async (t) => {
        const bench = new Bench(subject, t);
        const result = await bench.jailVersion({}, ["--resource-limit", limit]);
        assertJailerError(subject, result, message, debug);
      });
    }
  });
}

function idProblem(display: string, debug: string): [message: string, debug: string] {
  return [`Invalid instance ID: ${display}`, `InvalidInstanceId(${debug})`];
}

function idLength(length: number): [message: string, debug: string] {
  return idProblem(`Invalid len (${length});  the length must be between 1 and 64`, `InvalidLen(${length}, 1, 64)`);
}

function canonicalize(path: string): [message: string, debug: string] {
  const { display, debug } = osError(2);
  return [`Failed to canonicalize path ${path}: ${display}`, `Canonicalize("${path}", ${debug})`];
}

function parentCgroup(): [message: string, debug: string] {
  const rule = "Path should not be absolute or contain '..' or '.'";
  return [`Parent cgroup path is invalid. ${rule}`, "CgroupInvalidParentPath"];
}

function cgroupVersion(text: string): [message: string, debug: string] {
  return [`${text} is an invalid cgroup version specifier`, `CgroupInvalidVersion("${text}")`];
}

function limitValue(text: string, problem: string): [message: string, debug: string] {
  return [`Invalid limit value for resource: ${text}: ${problem}`, `ResLimitValue("${text}", "${problem}")`];
}
