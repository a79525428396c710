/**
 * A Firecracker for tests: same flags, same API, same messages, same exit codes, and guests that are scripted by a
 * marker in the kernel file. Started by a launcher that `installFakes` wrote, whose first argument is the settings
 * file; in a fake jail it translates every path to the jail's directory, where the real one has a chroot.
 *
 * Not modelled: devices behind their configuration (drives, network and balloon are checked, never used), vsock traffic
 * (connections get no answer), MMDS as seen by a guest, rate limits, CPU templates, huge pages, the serial port's input,
 * seccomp filters, most counters of the metrics, `--module`, log lines below Info and where they come from, Uffd, dirty
 * pages, JSON arrays in place of objects. `/proc/PID/exe`, `root` and `comm` are Node.js's, its descriptors are more,
 * and in a jail `environ` is not empty.
 */
import { closeSync, existsSync, openSync, writeSync } from "node:fs";
import { ArgumentError, type Arguments, helpText, parseArguments } from "./common/arguments.ts";
import { checkInstanceId } from "./common/instance-id.ts";
import { keepWork } from "./common/keep-work.ts";
import { ERRNO, OsError, toOsError } from "./common/os-error.ts";
import { openRecords } from "./common/records.ts";
import { type Release, releaseOf } from "./common/release.ts";
import { parseUnsigned } from "./common/rust.ts";
import {
  claimFaults,
  type Fault,
  type Installation,
  isPrivileged,
  readInstallation,
  type Settings,
} from "./common/settings.ts";
import { ApiServer } from "./firecracker/api-server.ts";
import { ConfigFileError, readToEnd, startFromFile } from "./firecracker/config-file.ts";
import { firecrackerFlags } from "./firecracker/flags.ts";
import { dropPrivileges, JAIL_PID_1, JAIL_ROOT, type Translate, translation } from "./firecracker/jail.ts";
import { JsonError } from "./firecracker/json-reader.ts";
import { Log, toLevel } from "./firecracker/log.ts";
import type { Taps } from "./firecracker/machine-config.ts";
import { Metrics } from "./firecracker/metrics.ts";
import {
  EXIT,
  endSuccessfully,
  endWithError,
  FatalError,
  handleSignals,
  ignore,
  ignoreDefaultSignals,
  panic,
  restoreDefaultSignals,
} from "./firecracker/process-end.ts";
import { anything, readJson } from "./firecracker/schema.ts";
import { Vmm } from "./firecracker/vmm.ts";

/** The longest time a timer can wait: one keeps the process alive when nothing else does. */
const FOREVER_MS = 2 ** 31 - 1;

class FakeFirecracker {
  readonly #installation: Installation;
  readonly #settings: Settings;
  readonly #release: Release;
  #faults: readonly Fault[] = [];
  readonly #record: ReturnType<typeof openRecords>;
  readonly #translate: Translate;
  /** Without root none could be had, so all are taken as there. */
  readonly #taps: Taps;
  readonly #log: Log;
  readonly #metrics: Metrics;

  constructor() {
    this.#installation = readInstallation(process.argv[2]);
    this.#settings = this.#installation.settings;
    this.#release = releaseOf(this.#settings.version);
    this.#record = openRecords(this.#installation.home);
    this.#translate = translation(process.env);
    this.#taps = this.#settings.taps ?? (isPrivileged(this.#settings) ? "host" : "any");
    this.#log = new Log(this.#release, process.env[JAIL_ROOT] === undefined);
    this.#metrics = new Metrics(this.#release);
  }

  /** The whole story, in the real program's order. */
  async run(): Promise<void> {
    const given = this.#parseArguments();
    this.#printAndEnd(given);
    this.#faults = claimFaults(this.#installation);
    dropPrivileges(process.env);
    this.#openLog(given);
    this.#log.info(`Running Firecracker v${this.#release.version}`);
    this.#setSignals();
    this.#openMetrics(given);
    this.#checkSeccompFilter(given);
    const config = await this.#readFile(given.value("config-file"), "364:20", "the configuration file");
    const metadata = await this.#readFile(given.value("metadata"), "369:20", "the mmds content file");
    const payloadLimitBytes = this.#byteLimit(given, "http-api-max-payload-size", "378:18");
    const mmdsLimitBytes = given.has("mmds-size-limit")
      ? this.#byteLimit(given, "mmds-size-limit", "390:18")
      : payloadLimitBytes;
    const vmm = this.#createVmm(mmdsLimitBytes);
    setInterval(() => undefined, FOREVER_MS);
    if (!given.has("no-api")) await this.#serve(given, vmm, payloadLimitBytes);
    if (metadata !== undefined) this.#addMetadata(metadata, vmm);
    if (config !== undefined) await this.#start(config, vmm, given.has("no-api"));
    keepWork();
  }

  #parseArguments(): Arguments {
    try {
      return parseArguments(firecrackerFlags(this.#release), process.argv.slice(3));
    } catch (error) {
      if (!(error instanceof ArgumentError)) throw error;
      // The real message has its line breaks as backslashes and letters.
      const message = `Arguments parsing error: ${error.message} \\n\\nFor more information try --help.`;
      throw new FatalError(message, `ParseArguments(${error.debug})`, EXIT.argumentParsing);
    }
  }

  #printAndEnd(given: Arguments): void {
    const snapshotPath = given.value("describe-snapshot");
    if (given.has("help"))
      print(`Firecracker v${this.#release.version}\n\n${helpText(firecrackerFlags(this.#release))}\n`);
    else if (given.has("version")) print(`Firecracker v${this.#release.version}\n\n`);
    else if (given.has("snapshot-version")) print(`v${this.#release.snapshotVersion}\n`);
    else if (snapshotPath !== undefined) this.#describeSnapshot(snapshotPath);
    else return;
    endSuccessfully(this.#log);
  }

  #describeSnapshot(path: string): void {
    try {
      closeSync(openSync(this.#translate(path), "r"));
    } catch (error) {
      const { display, debug } = toOsError(error);
      const message = `When printing Snapshot Data format: Unable to open snapshot state file: ${display}`;
      throw new FatalError(message, `PrintSnapshotDataFormat(OpenSnapshot(${debug}))`);
    }
    print(`v${this.#release.snapshotVersion}\n`);
  }

  #openLog(given: Arguments): void {
    const id = given.value("id") ?? "";
    const wrong = checkInstanceId(id);
    if (wrong !== undefined) this.#panic("291:48", `Invalid instance ID: ${wrong.debug}`);
    this.#log.id = id;
    const level = given.value("level");
    if (level !== undefined && toLevel(level) === undefined) {
      const problem = `Failed to parse string to level filter: ${level}`;
      const message = `Invalid value for logger level: ${problem}.Possible values: [Error, Warning, Info, Debug]`;
      const debug = `InvalidLogLevel(LevelFilterFromStrError(${JSON.stringify(level)}))`;
      throw new FatalError(message, debug, EXIT.badConfiguration);
    }
    const path = given.value("log-path");
    const showLevel = given.has("show-level") || undefined;
    const showOrigin = given.has("show-log-origin") || undefined;
    try {
      this.#log.update({ path: path && this.#translate(path), level, showLevel, showOrigin });
    } catch (error) {
      const { display, debug } = toOsError(error);
      const message = `Could not initialize logger: Failed to open target file: ${display}`;
      throw new FatalError(message, `LoggerInitialization(LoggerUpdateError(${debug}))`);
    }
  }

  #setSignals(): void {
    handleSignals(this.#log, this.#metrics);
    if (process.env[JAIL_PID_1] !== undefined) ignoreDefaultSignals();
    if (this.#faults.includes("ignore-sigterm")) ignore("SIGTERM");
  }

  #openMetrics(given: Arguments): void {
    const path = given.value("metrics-path");
    if (path === undefined) return;
    try {
      this.#metrics.configure(this.#translate(path));
    } catch (error) {
      const { display } = toOsError(error);
      const problem = `Cannot initialize the metrics system due to bad user input: ${display}`;
      const debug = `MetricsInitialization(InitializationFailure(${JSON.stringify(display)}))`;
      throw new FatalError(`Could not initialize metrics: ${problem}`, debug);
    }
  }

  #checkSeccompFilter(given: Arguments): void {
    const path = given.value("seccomp-filter");
    if (path === undefined || existsSync(this.#translate(path))) return;
    const { display, debug } = new OsError(ERRNO.ENOENT);
    throw new FatalError(`Seccomp error: Filter file open error: ${display}`, `SeccompFilter(FileOpen(${debug}))`);
  }

  async #readFile(path: string | undefined, place: string, what: string): Promise<string | undefined> {
    if (path === undefined) return undefined;
    try {
      return await readToEnd(this.#translate(path));
    } catch (error) {
      return this.#panic(place, `Unable to open or read from ${what}: ${toOsError(error).debug}`);
    }
  }

  #byteLimit(given: Arguments, flag: string, place: string): number {
    const text = given.value(flag) ?? "";
    const parsed = parseUnsigned(text, "u64");
    if ("value" in parsed) return Number(parsed.value);
    const kind = text === "" ? "Empty" : "InvalidDigit";
    return this.#panic(place, `'${flag}' parameter expected to be of 'usize' type.: ParseIntError { kind: ${kind} }`);
  }

  #addMetadata(text: string, vmm: Vmm): void {
    try {
      vmm.resources.mmds.put(readJson(text, anything));
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
      const message = `MMDS error: metadata provided not valid json: ${error.debug}`;
      panic("src/vmm/src/resources.rs:167:44", message, this.#log, this.#metrics);
    }
    this.#log.info("Successfully added metadata to mmds from file");
  }

  #createVmm(mmdsLimitBytes: number): Vmm {
    const around = {
      release: this.#release,
      translate: this.#translate,
      log: this.#log,
      metrics: this.#metrics,
      taps: this.#taps,
      mmdsLimitBytes,
    };
    return new Vmm(around, this.#settings.guest);
  }

  async #serve(given: Arguments, vmm: Vmm, payloadLimitBytes: number): Promise<void> {
    await this.#delayBind();
    const path = given.value("api-sock") ?? "";
    const server = new ApiServer({
      id: given.value("id") ?? "",
      release: this.#release,
      vmm,
      log: this.#log,
      faults: this.#faults,
      payloadLimitBytes,
      record: this.#record,
      onFatal: () => this.#endAfterFailedRestore(),
    });
    const problem = await server.listen(path, this.#translate);
    if (problem?.isInUse) {
      const message = `Failed to open the API socket at: ${path}. Check that it is not already used.`;
      throw new FatalError(
        `RunWithApiError error: ${message}`,
        `RunWithApi(FailedToBindSocket(${JSON.stringify(path)}))`,
      );
    }
    if (problem !== undefined) {
      const message = `RunWithApiError error: Failed to bind and run the HTTP server: IO error: ${problem.display}`;
      throw new FatalError(message, `RunWithApi(FailedToBindAndRunHttpServer(IOError(${problem.debug})))`);
    }
    this.#log.info(`Listening on API socket (${JSON.stringify(path)}).`);
    this.#log.info("API server started.", "fc_api");
  }

  /** The faults that keep the socket from being there. */
  async #delayBind(): Promise<void> {
    if (this.#faults.includes("exit-before-bind")) process.exit(EXIT.generic);
    const delayMs = this.#faults.includes("never-bind") ? FOREVER_MS : this.#slowBindMs();
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
  }

  #slowBindMs(): number {
    const fault = this.#faults.find((candidate) => candidate.startsWith("slow-bind:"));
    return Number(fault?.split(":")[1] ?? 0);
  }

  async #start(config: string, vmm: Vmm, noApi: boolean): Promise<void> {
    try {
      await startFromFile(config, vmm, this.#release, this.#translate);
    } catch (error) {
      if (!(error instanceof ConfigFileError)) throw error;
      const problem = `Failed to build MicroVM from Json: ${error.message}`;
      if (!noApi)
        throw new FatalError(`RunWithApiError error: ${problem}`, `RunWithApi(BuildFromJson(${error.debug}))`);
      const debug = `RunWithoutApiError(BuildMicroVMFromJson(${error.debug}))`;
      throw new FatalError(`RunWithoutApiError error: ${problem}`, debug);
    }
    this.#log.info("Successfully started microvm that was configured from one single json");
  }

  #endAfterFailedRestore(): never {
    const message = "RunWithApiError error: Failed to build MicroVM: Loading snapshot failed..";
    return this.end(new FatalError(message, "RunWithApi(BuildMicroVmError(Restore))"));
  }

  #panic(place: string, message: string): never {
    return panic(`src/firecracker/src/main.rs:${place}`, message, this.#log, this.#metrics);
  }

  end(error: FatalError): never {
    return endWithError(error, this.#log);
  }
}

function print(text: string): void {
  writeSync(1, text);
}

restoreDefaultSignals();
const firecracker = new FakeFirecracker();
try {
  await firecracker.run();
} catch (error) {
  if (!(error instanceof FatalError)) throw error;
  firecracker.end(error);
}
