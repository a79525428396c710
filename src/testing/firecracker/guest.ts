/** The guest: what it prints, when it ends, and which keys it hears. */
import { guestMessage } from "../kernel.ts";
import type { GuestBehaviour } from "./behaviour.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { endAtBadSyscall, killSelf } from "./process-end.ts";
import type { Serial } from "./serial.ts";

const TICK_MS = 20;
const FLOOD_MS = 2;
const FLOOD_BYTES = 1024;

/** What the probe guest prints: its loop at once, its halt when that is over. */
const PROBE_LINES = ["up", "loop 200000 begin", "loop 200000 end", "loop cycles 0x00000000000186a0"];
const PROBE_LAST_LINES = ["halted and woke", "halt 25000 us cycles 0x0000000003e50cb0", "reset"];
const PROBE_HALT_MS = 25;

/** A guest ends after the answer to the request that started it has left. */
const FIRST_STEP_MS = 5;

/** The surroundings of a guest. */
export interface GuestPorts {
  readonly serial: Serial;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Ends the VM. */
  readonly stop: (exitCode: number) => void;
}

/** One guest, running or paused. */
export class Guest {
  readonly behaviour: GuestBehaviour;
  readonly #ports: GuestPorts;
  #timer: NodeJS.Timeout | undefined;
  #hasBegun: boolean;
  #hasKeys = false;

  /** A restored guest has printed its line before. */
  constructor(behaviour: GuestBehaviour, ports: GuestPorts, hasBegun = false) {
    this.behaviour = behaviour;
    this.#ports = ports;
    this.#hasBegun = hasBegun;
  }

  run(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#begin(), FIRST_STEP_MS);
  }

  pause(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Queued while the guest is paused; lost on a guest that does not listen. */
  pressCtrlAltDel(): void {
    this.#hasKeys = true;
    if (this.#timer !== undefined) this.#hearKeys();
  }

  #begin(): void {
    const isFirst = !this.#hasBegun;
    this.#hasBegun = true;
    if (isFirst && this.behaviour !== "tick" && this.behaviour !== "probe")
      this.#ports.serial.write(guestMessage(this.behaviour));
    this.#go();
  }

  #go(): void {
    const { serial, log, metrics, stop } = this.#ports;
    const [kind, argument = ""] = this.behaviour.split(":");
    if (kind === "tick") this.#repeat(TICK_MS, () => serial.write(guestMessage("tick")));
    else if (kind === "flood") this.#repeat(FLOOD_MS, () => serial.write("A".repeat(FLOOD_BYTES)));
    else if (kind === "ctrl-alt-del") this.#hearKeys();
    else if (kind === "probe") this.#probe();
    else if (kind === "seccomp") endAtBadSyscall(log, metrics);
    else if (kind === "signal") killSelf(argument as NodeJS.Signals);
    else if (kind === "exit") stop(Number(argument));
    else if (kind === "panic") {
      log.warn("Received KVM_EXIT_SHUTDOWN signal", "fc_vcpu 0");
      stop(0);
    } else if (kind !== "idle") stop(0);
  }

  #probe(): void {
    const print = (lines: readonly string[]) =>
      this.#ports.serial.write(lines.map((line) => `warder probe: ${line}\n`).join(""));
    print(PROBE_LINES);
    this.#timer = setTimeout(() => {
      print(PROBE_LAST_LINES);
      this.#ports.stop(0);
    }, PROBE_HALT_MS);
  }

  #repeat(periodMs: number, step: () => void): void {
    step();
    this.#timer = setInterval(step, periodMs);
  }

  #hearKeys(): void {
    if (this.#hasKeys && this.#hasBegun && this.behaviour === "ctrl-alt-del") {
      this.#timer = setTimeout(() => this.#ports.stop(0), FIRST_STEP_MS);
    }
  }
}
