import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { until } from "../conformance/until.ts";
import type { WarderBed } from "../warder-fixture.ts";

const root = new URL("../../../", import.meta.url).pathname;

const END_TIMEOUT_MS = 60_000;

/** A daemon in a process of its own, as its users have it. */
export class DaemonProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly socket: string;
  log = "";

  private constructor(child: ChildProcess, socket: string) {
    this.#child = child;
    this.socket = socket;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        this.log += chunk.toString();
      });
    }
  }

  /** Starts it on a bed, on ports of its own, and waits until it serves. */
  static async start({ options }: WarderBed, settings: Readonly<Record<string, string>> = {}): Promise<DaemonProcess> {
    const socket = `${options.chrootBase}/../warder.sock`;
    const environment = {
      PATH: process.env.PATH ?? "",
      WARDER_STATE_DIR: options.stateDir ?? "",
      WARDER_CHROOT_BASE: options.chrootBase ?? "",
      WARDER_PARENT_CGROUP: options.parentCgroup ?? "",
      WARDER_FIRECRACKER: options.firecracker ?? "",
      WARDER_JAILER: options.jailer ?? "",
      WARDER_ALLOW_TEST_BINARIES: "1",
      WARDER_SERVER_SOCKET: socket,
      WARDER_SERVER_PORT: "0",
      WARDER_METRICS_PORT: "0",
      ...settings,
    };
    const args = ["--disable-warning=ExperimentalWarning", `${root}src/cli/main.ts`, "serve"];
    const daemon = new DaemonProcess(spawn(process.execPath, args, { env: environment, cwd: "/" }), socket);
    await until("the daemon", () => daemon.#isServing());
    return daemon;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Its log, line by line. */
  get lines(): Record<string, unknown>[] {
    return this.log
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Of the TCP door: `http://127.0.0.1:40123`. */
  get url(): string {
    const { addresses } = this.lines.find(({ msg }) => msg === "warder serves") as { addresses: string[] };
    const url = addresses.find((each) => /^https?:/.test(each) && !each.endsWith("/metrics"));
    if (url === undefined) throw new Error(`no TCP door among ${addresses.join(", ")}`);
    return url;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it and waits until it has ended; its exit status. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode;
    const ended = once(this.#child, "exit", { signal: AbortSignal.timeout(END_TIMEOUT_MS) });
    this.#child.kill(signal);
    try {
      const [code] = (await ended) as [number | null];
      return code;
    } catch (cause) {
      this.#child.kill("SIGKILL");
      throw new Error(`the daemon did not end within ${END_TIMEOUT_MS} ms of ${signal}: ${this.log}`, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }

  #isServing(): boolean {
    if (this.#child.exitCode !== null) throw new Error(`the daemon ended: ${this.log}`);
    return this.lines.some(({ msg }) => msg === "warder serves");
  }
}
