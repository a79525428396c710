/** What else a Firecracker is started with: sections of its configuration file, flags that take files and numbers. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { releaseOf } from "../../../src/testing/common/release.ts";
import { Bench, configText } from "./bench.ts";
import { assertFirecrackerError, osError } from "./expect.ts";
import type { Subject } from "./subject.ts";

const { display: MISSING, debug: MISSING_DEBUG } = osError(2);

/** Sections that name what is not there or can't be, with what is said about them, in words and in debug form. */
const WRONG_SECTIONS: readonly (readonly [section: object, message: string, debug: string])[] = [
  [{ "cpu-config": "/nope" }, `File operation error: ${MISSING}`, `File(${MISSING_DEBUG})`],
  [
    { logger: { log_path: "/nope/log" } },
    `Logger error: Failed to open target file: ${MISSING}`,
    `Logger(LoggerUpdateError(${MISSING_DEBUG}))`,
  ],
  [
    { metrics: { metrics_path: "/nope/metrics" } },
    `Metrics error: Cannot initialize the metrics system due to bad user input: ${MISSING}`,
    `Metrics(InitializationFailure("${MISSING}"))`,
  ],
  [
    { drives: [{ drive_id: "a", is_root_device: false, path_on_host: "/nope" }] },
    `Block device error: Unable to create the virtio block device: Virtio backend error: Error manipulating the backing file: ${MISSING} /nope`,
    `BlockDevice(CreateBlockDevice(VirtioBackend(BackingFile(${MISSING_DEBUG}, "/nope"))))`,
  ],
  [
    { vsock: { guest_cid: 3, uds_path: "/nope/v.sock" } },
    `Vsock device error: Cannot create backend for vsock device: Error binding to the host-side Unix socket: ${MISSING}`,
    `VsockDevice(CreateVsockBackend(UnixBind(${MISSING_DEBUG})))`,
  ],
  [
    { balloon: { amount_mib: 1000, deflate_on_oom: true } },
    "Balloon device error: Amount of pages requested is too large.",
    "BalloonDevice(TooManyPagesRequested)",
  ],
  [
    { "network-interfaces": [{ iface_id: "a", host_dev_name: "a-name-that-is-too-long" }] },
    "Network device error: Could not create the network device: Open tap device failed: Invalid interface name",
    "NetDevice(CreateNetworkDevice(TapOpen(InvalidIfname)))",
  ],
  [
    { "mmds-config": { network_interfaces: [] } },
    "MMDS config error: The list of network interface IDs that allow forwarding MMDS requests is empty.",
    "MmdsConfig(EmptyNetworkIfaceList)",
  ],
];

export function startUpCases(subject: Subject): void {
  describe("a section of the configuration file", () => {
    for (const [section, message, debug] of WRONG_SECTIONS) {
      it(`ends the process when it can't be had: ${Object.keys(section)}`, async (t) => {
        const bench = new Bench(subject, t);
        const kernel = bench.write(bench.path("kernel"), subject.kernel("hello"));
        // Later releases make a log or metrics file, but in no directory that is not there.
        const config = bench.write(bench.path("config.json"), configText(kernel, { ...section }));
        const whole = `Failed to build MicroVM from Json: Configuration for VMM from one single json failed: ${message}`;
        const parsed = `RunWithoutApiError(BuildMicroVMFromJson(ParseFromJson(${debug})))`;
        const result = await bench.firecracker(["--config-file", config, "--no-api"]);
        assertFirecrackerError(result, 1, `RunWithoutApiError error: ${whole}`, parsed);
      });
    }

    it("is one of all there are, for a guest that has everything", subject.guestRequirement, async (t) => {
      const bench = new Bench(subject, t);
      const kernel = bench.write(bench.path("kernel"), subject.kernel("hello"));
      const [log, metrics] = [bench.write(bench.path("log"), ""), bench.write(bench.path("metrics"), "")];
      const config = configText(kernel, {
        logger: { log_path: log, level: "Info", show_level: true },
        metrics: { metrics_path: metrics },
        drives: [
          { drive_id: "a", is_root_device: false, path_on_host: bench.write(bench.path("disk"), Buffer.alloc(4096)) },
        ],
        vsock: { guest_cid: 3, uds_path: bench.path("v.sock") },
        balloon: { amount_mib: 1, deflate_on_oom: true },
        entropy: {},
      });
      const { code, stdout } = await bench.firecracker([
        "--config-file",
        bench.write(bench.path("config.json"), config),
        "--no-api",
      ]);
      assert.equal(code, 0);
      assert.ok(stdout.endsWith("hello from a jailed guest\n"), stdout);
      assert.equal(stdout.split("\n").length, 3, "only what came before the file was read");
      assert.match(readFileSync(log, "utf8"), /:main:INFO\] Vmm is stopping\.$/m);
      assert.equal(readFileSync(metrics, "utf8").trimEnd().split("\n").length, 2);
    });

    it("that boots what is no kernel ends the process", subject.guestRequirement, async (t) => {
      const bench = new Bench(subject, t);
      const config = bench.write(bench.path("config.json"), configText("/etc/passwd"));
      const loader = "Kernel Loader: failed to load ELF kernel image: Kernel Loader: Invalid Elf magic number";
      const cause = "Cannot load kernel due to invalid memory configuration or invalid kernel image";
      const start = `Could not Start MicroVM from one single json: System configuration error: ${cause}: ${loader}`;
      const debug = "StartMicroVM(ConfigureSystem(KernelLoader(Elf(InvalidElfMagicNumber))))";
      assertFirecrackerError(
        await bench.firecracker(["--config-file", config, "--no-api"]),
        1,
        `RunWithoutApiError error: Failed to build MicroVM from Json: ${start}`,
        `RunWithoutApiError(BuildMicroVMFromJson(${debug}))`,
      );
    });
  });

  describe("a flag of Firecracker's", () => {
    it("--help lists all that there are", async (t) => {
      const bench = new Bench(subject, t);
      const { code, stdout } = await bench.firecracker(["--help"]);
      assert.equal(code, 0);
      assert.ok(stdout.startsWith(`Firecracker v${subject.version}\n\n`));
      assert.match(stdout, /^ {2}--api-sock <api-sock> +Path to unix domain socket used by the API\. \[default: /m);
      assert.equal(/^ {2}--enable-pci/m.test(stdout), releaseOf(subject.version).v1_13);
    });

    it("--describe-snapshot wants a snapshot", async (t) => {
      const bench = new Bench(subject, t);
      const message = `When printing Snapshot Data format: Unable to open snapshot state file: ${MISSING}`;
      const debug = `PrintSnapshotDataFormat(OpenSnapshot(${MISSING_DEBUG}))`;
      assertFirecrackerError(await bench.firecracker(["--describe-snapshot", "/nope"]), 1, message, debug);
    });

    it("--seccomp-filter wants a file", async (t) => {
      const bench = new Bench(subject, t);
      const result = await bench.firecracker(["--seccomp-filter", "/nope", "--api-sock", bench.path("api.socket")]);
      const message = `Seccomp error: Filter file open error: ${MISSING}`;
      assertFirecrackerError(result, 1, message, `SeccompFilter(FileOpen(${MISSING_DEBUG}))`);
    });

    it("--api-sock wants a path that a socket can have", async (t) => {
      const bench = new Bench(subject, t);
      const wrong: readonly (readonly [path: string, display: string, debug: string])[] = [
        ["/nope/api.socket", MISSING, MISSING_DEBUG],
        [
          bench.path("x".repeat(108)),
          "path must be shorter than SUN_LEN",
          'Error { kind: InvalidInput, message: "path must be shorter than SUN_LEN" }',
        ],
      ];
      for (const [path, display, debug] of wrong) {
        const message = `RunWithApiError error: Failed to bind and run the HTTP server: IO error: ${display}`;
        const result = await bench.firecracker(["--api-sock", path]);
        assertFirecrackerError(result, 1, message, `RunWithApi(FailedToBindAndRunHttpServer(IOError(${debug})))`);
      }
    });

    const limits = [
      ["--http-api-max-payload-size", "many", "InvalidDigit"],
      ["--http-api-max-payload-size", "", "Empty"],
      ["--mmds-size-limit", "-1", "InvalidDigit"],
    ] as const;
    for (const [flag, value, kind] of limits) {
      it(`${flag} panics over "${value}", which is no number`, async (t) => {
        const bench = new Bench(subject, t);
        const socket = bench.path("api.socket");
        const { signal, stdout } = await bench.firecracker(["--api-sock", socket, flag, value]);
        assert.equal(signal, "SIGABRT");
        const problem = `'${flag.slice(2)}' parameter expected to be of 'usize' type.: ParseIntError { kind: ${kind} }`;
        assert.ok(stdout.endsWith(`\n${problem}\n`), stdout);
        assert.ok(!existsSync(socket));
      });
    }

    it("--metadata is read before the start, and has to be JSON", async (t) => {
      const bench = new Bench(subject, t);
      const metadata = bench.write(bench.path("metadata"), "{");
      const start = ["--api-sock", bench.path("panic.socket"), "--metadata"];
      const absent = await bench.firecracker([...start, "/nope"]);
      assert.ok(
        absent.stdout.endsWith(`\nUnable to open or read from the mmds content file: ${MISSING_DEBUG}\n`),
        absent.stdout,
      );
      const broken = await bench.firecracker([...start, metadata]);
      assert.deepEqual([absent.signal, broken.signal], ["SIGABRT", "SIGABRT"]);
      const error = 'Error("EOF while parsing an object", line: 1, column: 1)';
      assert.ok(broken.stdout.endsWith(`\nMMDS error: metadata provided not valid json: ${error}\n`), broken.stdout);
      bench.write(metadata, '{ "a": 1 }');
      const { running } = await bench.startApi(["--metadata", metadata]);
      await running.says(/\] Successfully added metadata to mmds from file$/m);
    });
  });
}
