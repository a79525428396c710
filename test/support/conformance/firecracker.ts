/** Firecracker's command line, its configuration file, its log, and the order in which it opens things. */
import assert from "node:assert/strict";
import { closeSync, constants, existsSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { describe, it } from "node:test";
import { releaseOf } from "../../../src/testing/common/release.ts";
import { Bench, closeAll, configText, drain, holdFifo } from "./bench.ts";
import { assertFirecrackerError, LOG_LINE, osError } from "./expect.ts";
import type { Subject } from "./subject.ts";
import { until } from "./until.ts";

export function firecrackerCases(subject: Subject): void {
  describe("Firecracker's command line", () => {
    it("prints the versions of the program and of its snapshots", async (t) => {
      const bench = new Bench(subject, t);
      const version = await bench.firecracker(["--version"]);
      assert.ok(version.stdout.startsWith(`Firecracker v${subject.version}\n\n`));
      const snapshot = await bench.firecracker(["--snapshot-version"]);
      assert.ok(snapshot.stdout.startsWith(`v${releaseOf(subject.version).snapshotVersion}\n`));
      assert.deepEqual([version.code, snapshot.code], [0, 0]);
    });

    const wrong: readonly (readonly [argv: string[], message: string, debug: string])[] = [
      [
        ["--bogus"],
        "Found argument 'bogus' which wasn't expected, or isn't valid in this context.",
        'UnexpectedArgument("bogus")',
      ],
      [["--id", "a", "--id", "b"], "The argument 'id' was provided more than once.", 'DuplicateArgument("id")'],
      [["--no-api"], "Argument 'config-file' required, but not found.", 'MissingArgument("config-file")'],
      [
        ["--no-seccomp", "--seccomp-filter", "x"],
        "Argument 'seccomp-filter' cannot be used together with argument 'no-seccomp'.",
        'ForbiddenArgument("no-seccomp", "seccomp-filter")',
      ],
    ];
    for (const [argv, message, debug] of wrong) {
      it(`ends with 153 for ${argv.join(" ")}`, async (t) => {
        const bench = new Bench(subject, t);
        const whole = `Arguments parsing error: ${message} \\n\\nFor more information try --help.`;
        assertFirecrackerError(await bench.firecracker(argv), 153, whole, `ParseArguments(${debug})`);
      });
    }

    it("ends with 153 in a jail that is given its id twice", async (t) => {
      const bench = new Bench(subject, t);
      const result = await bench.jailer(bench.jailerArguments({}, ["--", "--id", "x"]));
      assert.equal(result.code, 153);
      assert.equal(result.stderr, 'Error: ParseArguments(DuplicateArgument("id"))\n');
    });

    it("ends with 152 for a level that there is not", async (t) => {
      const bench = new Bench(subject, t);
      const words = "Failed to parse string to level filter: bogus";
      const message = `Invalid value for logger level: ${words}.Possible values: [Error, Warning, Info, Debug]`;
      const debug = 'InvalidLogLevel(LevelFilterFromStrError("bogus"))';
      assertFirecrackerError(await bench.firecracker(["--level", "bogus"]), 152, message, debug);
    });

    it("panics over an id that it does not like", async (t) => {
      const bench = new Bench(subject, t);
      const { signal, stdout } = await bench.firecracker(["--id", "a_b"]);
      assert.equal(signal, "SIGABRT");
      assert.match(stdout, /Firecracker panicked at .*\nInvalid instance ID: InvalidChar\('_', 1\)\n$/);
    });

    it("ends with 1 for a log file that is not there, until 1.14 makes it", async (t) => {
      const bench = new Bench(subject, t);
      const path = bench.path("log");
      const { display, debug } = osError(2);
      const result = await bench.firecracker(["--log-path", path, "--config-file", bench.path("none"), "--no-api"]);
      if (releaseOf(subject.version).createsLogFiles) assert.ok(statSync(path).isFile());
      else {
        const message = `Could not initialize logger: Failed to open target file: ${display}`;
        assertFirecrackerError(result, 1, message, `LoggerInitialization(LoggerUpdateError(${debug}))`);
      }
    });

    it("ends with 1 for a metrics file that is not there, until 1.14 makes it", async (t) => {
      const bench = new Bench(subject, t);
      const path = bench.path("metrics");
      const { display } = osError(2);
      const result = await bench.firecracker(["--metrics-path", path, "--config-file", bench.path("none"), "--no-api"]);
      if (releaseOf(subject.version).createsLogFiles) assert.ok(statSync(path).isFile());
      else {
        const problem = `Cannot initialize the metrics system due to bad user input: ${display}`;
        const debug = `MetricsInitialization(InitializationFailure("${display}"))`;
        assertFirecrackerError(result, 1, `Could not initialize metrics: ${problem}`, debug);
      }
    });
  });

  describe("Firecracker's configuration file", () => {
    it("is a panic when it is not there, before there is a socket", async (t) => {
      const bench = new Bench(subject, t);
      const socket = bench.path("api.socket");
      const { signal, stdout } = await bench.firecracker(["--config-file", bench.path("none"), "--api-sock", socket]);
      assert.equal(signal, "SIGABRT");
      const problem = `Unable to open or read from the configuration file: ${osError(2).debug}`;
      assert.ok(stdout.endsWith(`\n${problem}\n`), stdout);
      assert.ok(!existsSync(socket));
    });

    const wrong: readonly (readonly [what: string, text: string, message: string, debug: string])[] = [
      ["an empty file", "", ...invalidJson("EOF while parsing a value", 1, 0)],
      ["a file without drives", "{}", ...invalidJson("missing field `drives`", 1, 2)],
      ["a file with half an object", "{\n", ...invalidJson("EOF while parsing an object", 2, 0)],
      ["a kernel that is not there", configText("/nope"), ...missingKernel()],
      [
        "no processors",
        configText("/nope", { "machine-config": { vcpu_count: 0, mem_size_mib: 64 } }),
        "VM config error: The number of vCPUs must be greater than 0, less than 32 and must be 1 or an even number if SMT is enabled.",
        "MachineConfig(InvalidVcpuCount)",
      ],
    ];
    for (const [what, text, message, debug] of wrong) {
      it(`ends the process with 1 for ${what}`, async (t) => {
        const bench = new Bench(subject, t);
        const file = bench.write(bench.path("config.json"), text);
        const whole = `Failed to build MicroVM from Json: Configuration for VMM from one single json failed: ${message}`;
        const parsed = `ParseFromJson(${debug})`;
        const noApi = await bench.firecracker(["--config-file", file, "--no-api"]);
        const noApiDebug = `RunWithoutApiError(BuildMicroVMFromJson(${parsed}))`;
        assertFirecrackerError(noApi, 1, `RunWithoutApiError error: ${whole}`, noApiDebug);
        const socket = bench.path("api.socket");
        const api = await bench.firecracker(["--config-file", file, "--api-sock", socket]);
        assertFirecrackerError(api, 1, `RunWithApiError error: ${whole}`, `RunWithApi(BuildFromJson(${parsed}))`);
        assert.ok(existsSync(socket));
      });
    }

    it(
      "may be a FIFO that holds the start, with the first line of the log out and no socket",
      subject.guestRequirement,
      async (t) => {
        const bench = new Bench(subject, t);
        const config = bench.fifo(bench.path("config"));
        const log = bench.fifo(bench.path("log"));
        const metrics = bench.fifo(bench.path("metrics"));
        const [logEnd, metricsEnd] = [holdFifo(log), holdFifo(metrics)];
        t.after(() => closeAll(logEnd, metricsEnd));
        const socket = bench.path("api.socket");
        const kernel = bench.write(bench.path("kernel"), subject.kernel("hello"));
        const running = bench.startFirecracker([
          ...["--config-file", config, "--api-sock", socket],
          ...["--log-path", log, "--metrics-path", metrics],
        ]);
        const first = await until("the first line of the log", () => drain(logEnd) || undefined);
        assert.match(first, new RegExp(`${LOG_LINE.source}Running Firecracker v${subject.version}\n$`));
        const writer = await openWriter(config);
        assert.ok(!existsSync(socket));
        assert.equal(running.stdout, "");
        writeSync(writer, configText(kernel));
        closeSync(writer);
        assert.deepEqual(await running.end(), { code: 0, signal: null });
        assert.equal(running.stdout, "hello from a jailed guest\n");
        const messages = drain(logEnd)
          .trimEnd()
          .split("\n")
          .map((line) => line.replace(LOG_LINE, ""));
        assert.equal(messages[0], `Listening on API socket ("${socket}").`);
        assert.equal(messages.at(-1), "Firecracker exiting successfully. exit_code=0");
        assert.equal(drain(metricsEnd).trimEnd().split("\n").length, 2);
      },
    );

    it("hears signals while it is waited for", async (t) => {
      const bench = new Bench(subject, t);
      const config = bench.fifo(bench.path("config"));
      for (const [signal, end] of [
        ["SIGTERM", { code: null, signal: "SIGTERM" }],
        ["SIGHUP", { code: 156, signal: null }],
      ] as const) {
        const running = bench.startFirecracker(["--config-file", config, "--no-api"]);
        const writer = await openWriter(config);
        running.child.kill(signal);
        assert.deepEqual(await running.end(), end);
        closeSync(writer);
      }
    });
  });

  describe("Firecracker's log and metrics", () => {
    it("goes to standard output, in lines with time, id and thread", async (t) => {
      const bench = new Bench(subject, t);
      const { running, socket } = await bench.startApi();
      const lines = running.stdout.trimEnd().split("\n");
      for (const line of lines) assert.match(line, LOG_LINE);
      assert.ok(lines[0]?.endsWith(`[${bench.id}:main] Running Firecracker v${subject.version}`));
      assert.ok(lines[1]?.endsWith(`[${bench.id}:main] Listening on API socket ("${socket}").`));
      assert.ok(lines[2]?.endsWith(`[${bench.id}:fc_api] API server started.`));
    });

    it("goes to a file instead, with what it is asked to show", async (t) => {
      const bench = new Bench(subject, t);
      const log = bench.write(bench.path("log"), "");
      const { running } = await bench.startApi(["--log-path", log, "--show-level"]);
      assert.match(readFileSync(log, "utf8"), new RegExp(`\\[${bench.id}:main:INFO\\] Running Firecracker`));
      assert.equal(running.stdout, "");
    });

    it("is silent at level Off", async (t) => {
      const bench = new Bench(subject, t);
      const { running } = await bench.startApi(["--level", "Off"]);
      assert.equal(running.stdout, "");
    });

    it("does not wait for a reader of its FIFOs", async (t) => {
      const bench = new Bench(subject, t);
      const [log, metrics] = [bench.fifo(bench.path("log")), bench.fifo(bench.path("metrics"))];
      await bench.startApi(["--log-path", log, "--metrics-path", metrics]);
      const reader = holdFifo(log);
      t.after(() => closeSync(reader));
      assert.match(drain(reader), LOG_LINE);
    });
  });
}

/** Opens a FIFO for writing as soon as somebody reads it. */
async function openWriter(path: string): Promise<number> {
  return until(`a reader of ${path}`, () => {
    try {
      return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENXIO") return undefined;
      throw error;
    }
  });
}

function invalidJson(problem: string, line: number, column: number): [message: string, debug: string] {
  const position = `line ${line} column ${column}`;
  return [
    `Invalid JSON: ${problem} at ${position}`,
    `InvalidJson(Error("${problem}", line: ${line}, column: ${column}))`,
  ];
}

function missingKernel(): [message: string, debug: string] {
  const { display, debug } = osError(2);
  return [`Boot source error: The kernel file cannot be opened: ${display}`, `BootSource(InvalidKernelPath(${debug}))`];
}
