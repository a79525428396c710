import { Interrupter } from "../../src/cli/interruption.ts";
import { runProgram } from "../../src/cli/program.ts";
import type { Output, Terminal } from "../../src/cli/terminal.ts";

/** A stream that remembers what was written. */
export class FakeOutput implements Output {
  readonly isTTY: boolean;
  readonly color: boolean;
  #full: PromiseWithResolvers<void> | undefined;
  columns: number;
  readonly #chunks: Buffer[] = [];

  constructor({ isTTY = false, color = false, columns = Number.POSITIVE_INFINITY }: Partial<Output> = {}) {
    this.isTTY = isTTY;
    this.color = color;
    this.columns = columns;
  }

  write(chunk: string | Uint8Array): void {
    this.#chunks.push(Buffer.from(chunk));
  }

  get isReady(): boolean {
    return this.#full === undefined;
  }

  async ready(): Promise<void> {
    await this.#full?.promise;
  }

  /** From now on its reader takes nothing. */
  stall(): void {
    this.#full = Promise.withResolvers();
  }

  /** Its reader takes what there is. */
  resume(): void {
    this.#full?.resolve();
    this.#full = undefined;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString("utf8");
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }
}

/** A terminal whose two streams can be looked at. */
export interface FakeTerminal extends Terminal {
  readonly stdout: FakeOutput;
  readonly stderr: FakeOutput;
}

/** Two streams of the same kind: in a pipe, unless said otherwise. */
export function fakeTerminal(facts: Partial<Output> = {}): FakeTerminal {
  return { stdout: new FakeOutput(facts), stderr: new FakeOutput(facts) };
}

/** What a command line came to. */
export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line in this process. */
export async function warder(...args: readonly string[]): Promise<Outcome> {
  const terminal = fakeTerminal();
  const status = await runProgram(args, terminal, new Interrupter());
  return { status, stdout: terminal.stdout.text, stderr: terminal.stderr.text };
}
