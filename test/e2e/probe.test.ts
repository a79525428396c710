import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { type TestContext, test } from "node:test";
import { type ConsoleChunk, kvmSpeed, parseProbeOutput } from "../../src/doctor/probe-output.ts";
import { openHost } from "../../src/host/real/host.ts";
import { builtInGuest } from "../../src/setup/guests.ts";
import { requires } from "../support/capability.ts";
import { realBinaries } from "../support/capability-probes.ts";

const needs = requires("kvm", "real-binaries");
const { fifos } = openHost();
const PATIENCE_MS = 30_000;
/** `mov $0xfe, %al; out %al, $0x21`: the timer's line is let through. With 0xff it is not. */
const UNMASK_TIMER = Buffer.from([0xb0, 0xfe, 0xe6, 0x21]);

/** A guest under the real Firecracker, without a jail. It is killed when the test ends, if it still runs. */
class Guest {
  readonly chunks: ConsoleChunk[] = [];
  readonly #process: ChildProcess;
  readonly #console: Readable;

  private constructor(process: ChildProcess, output: Readable) {
    this.#process = process;
    this.#console = output;
    output.on("data", (data: Buffer) => {
      this.chunks.push({ text: data.toString("latin1"), atMs: performance.now() });
    });
  }

  static async start(t: TestContext, kernel: string): Promise<Guest> {
    const directory = mkdtempSync(join(tmpdir(), "warder-guest-"));
    const config = {
      "boot-source": { kernel_image_path: kernel, boot_args: "" },
      drives: [],
      "machine-config": { vcpu_count: 1, mem_size_mib: 128 },
    };
    writeFileSync(`${directory}/config.json`, JSON.stringify(config));
    // The guest prints byte by byte: of such writes a FIFO holds 64 KiB, a socket, which Node's own "pipe" is, only some 270.
    const fifo = `${directory}/console`;
    await fifos.make([fifo]);
    const output = openSync(fifo, constants.O_RDWR);
    const args = ["--no-api", "--config-file", `${directory}/config.json`, "--level", "Off"];
    const child = spawn(String(realBinaries()?.firecracker), args, { stdio: ["ignore", output, output] });
    const guest = new Guest(child, fifos.read(fifo));
    closeSync(output);
    t.after(async () => {
      await guest.#kill();
      rmSync(directory, { recursive: true });
    });
    return guest;
  }

  get text(): string {
    return this.chunks.map(({ text }) => text).join("");
  }

  /** Waits until the guest has printed what is looked for. */
  async printed(isThere: (text: string) => boolean): Promise<void> {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    while (!isThere(this.text)) await once(this.#console, "data", { signal });
  }

  /** Waits for the end, and for all that was printed; gives Firecracker's exit code. */
  async ended(): Promise<number | null> {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    await Promise.all([once(this.#process, "exit", { signal }), once(this.#console, "close", { signal })]);
    return this.#process.exitCode;
  }

  /** When a line had come, by this process's clock. */
  arrivalOf(line: string): number {
    let text = "";
    for (const chunk of this.chunks) {
      text += chunk.text;
      if (text.includes(`${line}\n`)) return chunk.atMs;
    }
    return assert.fail(`${line} did not come`);
  }

  /** CPU time used, in clock ticks. */
  cpuTicks(): number {
    const stat = readFileSync(`/proc/${this.#process.pid}/stat`, "latin1");
    const fields = stat.replace(/^.*\) /s, "").split(" ");
    return Number(fields[11]) + Number(fields[12]);
  }

  async #kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill("SIGKILL");
    await once(this.#process, "exit");
  }
}

const guestPath = (name: string): string => join(import.meta.dirname, `../../guests/${name}.elf`);

test("the probe prints every line in order and ends Firecracker with exit code 0", needs, async (t) => {
  const guest = await Guest.start(t, builtInGuest("probe"));
  assert.equal(await guest.ended(), 0);
  assert.deepEqual(
    guest.text.split("\n").map((line) => line.replace(/[0-9a-f]{16}$/, "…")),
    [
      "warder probe: up",
      "warder probe: loop 200000 begin",
      "warder probe: loop 200000 end",
      "warder probe: loop cycles 0x…",
      "warder probe: halted and woke",
      "warder probe: halt 25000 us cycles 0x…",
      "warder probe: reset",
      "",
    ],
  );
});

test("the probe measures how fast this KVM is", needs, async (t) => {
  const guest = await Guest.start(t, builtInGuest("probe"));
  await guest.ended();
  const output = parseProbeOutput(guest.chunks);
  assert.deepEqual([output.up, output.woke, output.complete], [true, true, true]);
  assert.notEqual(kvmSpeed(output), "unknown");
  t.diagnostic(`${output.instructionsPerSecond} guest instructions a second`);
});

test("the probe lives long enough to be looked at while it halts", needs, async (t) => {
  const guest = await Guest.start(t, builtInGuest("probe"));
  await guest.ended();
  const lived = guest.arrivalOf("warder probe: reset") - guest.arrivalOf("warder probe: up");
  // The halt is of 25 ms; this process may be late to see the first line. Without a halt it would be some 0.1 ms on hardware.
  assert.ok(lived > 5, `it lived for ${lived} ms`);
});

test("without timer interrupts the probe waits awake, says so, and ends all the same", needs, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "warder-guest-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const elf = readFileSync(builtInGuest("probe"));
  elf[elf.indexOf(UNMASK_TIMER) + 1] = 0xff;
  writeFileSync(`${directory}/deaf.elf`, elf);
  const guest = await Guest.start(t, `${directory}/deaf.elf`);
  assert.equal(await guest.ended(), 0);
  assert.match(guest.text, /warder probe: waited without an interrupt\n/);
  const { woke, complete } = parseProbeOutput(guest.chunks);
  assert.deepEqual({ woke, complete }, { woke: false, complete: true });
});

test("hello says hello and ends", needs, async (t) => {
  const guest = await Guest.start(t, guestPath("hello"));
  assert.equal(await guest.ended(), 0);
  assert.equal(guest.text, "hello from a jailed guest\n");
});

test("tick goes on ticking", needs, async (t) => {
  const guest = await Guest.start(t, guestPath("tick"));
  await guest.printed((text) => text.startsWith("tick\n".repeat(5)));
});

test("idle uses no CPU time once it has said so", needs, async (t) => {
  const guest = await Guest.start(t, guestPath("idle"));
  await guest.printed((text) => text === "idle\n");
  const busy = await Guest.start(t, guestPath("tick"));
  await busy.printed((text) => text.includes("tick\ntick\n"));
  const before = guest.cpuTicks();
  await busy.printed((text) => text.length >= "tick\n".repeat(10).length);
  assert.ok(guest.cpuTicks() - before <= 1);
});

test("flood never ends its line", needs, async (t) => {
  const guest = await Guest.start(t, guestPath("flood"));
  await guest.printed((text) => text.length > 10_000);
  assert.match(guest.text, /^A+$/);
});
