import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ConsoleChunk, kvmSpeed, parseProbeOutput } from "./probe-output.ts";

/** What the guest printed where KVM emulates instructions, as it was seen. */
const emulated = [
  "warder probe: up\n",
  "warder probe: loop 200000 begin\n",
  "warder probe: loop 200000 end\n",
  "warder probe: loop cycles 0x00000000178b1a02\n",
  "warder probe: halted and woke\n",
  "warder probe: halt 25000 us cycles 0x0000000003e50cb0\n",
  "warder probe: reset\n",
];

const onHardware = emulated.with(3, "warder probe: loop cycles 0x00000000000186a0\n");

const allAtOnce = (lines: readonly string[]): ConsoleChunk[] => [{ text: lines.join(""), atMs: 7 }];
const lineByLine = (lines: readonly string[], stepMs: number): ConsoleChunk[] =>
  lines.map((text, index) => ({ text, atMs: index * stepMs }));

test("a whole run is up, woke and complete", () => {
  const { up, woke, complete } = parseProbeOutput(allAtOnce(emulated));
  assert.deepEqual({ up, woke, complete }, { up: true, woke: true, complete: true });
});

test("the speed is the guest's own measure, however late the console was read", () => {
  const { instructionsPerSecond } = parseProbeOutput(allAtOnce(emulated));
  assert.equal(instructionsPerSecond, 1_323_422);
  assert.equal(kvmSpeed({ instructionsPerSecond: instructionsPerSecond ?? 0 }), "slow");
});

test("a loop at the speed of hardware is fast", () => {
  assert.equal(kvmSpeed(parseProbeOutput(allAtOnce(onHardware))), "fast");
});

test("a guest that could not halt is timed by when its lines arrived", () => {
  const polled = emulated.toSpliced(4, 2, "warder probe: waited without an interrupt\n");
  const output = parseProbeOutput(lineByLine(polled, 100));
  assert.deepEqual(output, { up: true, instructionsPerSecond: 2_000_000, woke: false, complete: true });
});

test("lines that arrived together say nothing of the speed", () => {
  const polled = emulated.toSpliced(3, 3);
  assert.equal(kvmSpeed(parseProbeOutput(allAtOnce(polled))), "unknown");
});

test("a guest that stopped in its loop is up and no more", () => {
  assert.deepEqual(parseProbeOutput(lineByLine(emulated.slice(0, 2), 1)), { up: true, woke: false, complete: false });
});

test("silence is no guest", () => {
  assert.deepEqual(parseProbeOutput([]), { up: false, woke: false, complete: false });
});

test("other lines, carriage returns and what has no end of line yet are passed over", () => {
  const text = "2026-01-01 [fc_vcpu 0] a log line\nwarder probe: up\r\nnot warder probe: reset\nwarder probe: reset";
  assert.deepEqual(parseProbeOutput([{ text, atMs: 1 }]), { up: true, woke: false, complete: false });
});

test("a cycle count of nought, or one that is no number, is no measure", () => {
  for (const digits of ["0000000000000000", "00000000178b1g02", "178b1a02"]) {
    const lines = emulated.with(3, `warder probe: loop cycles 0x${digits}\n`);
    assert.equal(parseProbeOutput(allAtOnce(lines)).instructionsPerSecond, undefined);
  }
});

test("how the console is cut into chunks makes no difference", () => {
  const text = onHardware.join("");
  fc.assert(
    fc.property(fc.array(fc.nat(text.length), { maxLength: 20 }), (cuts) => {
      const bounds = [0, ...cuts.toSorted((a, b) => a - b), text.length];
      const chunks = bounds.slice(1).map((end, index) => ({ text: text.slice(bounds[index], end), atMs: 3 }));
      assert.deepEqual(parseProbeOutput(chunks), parseProbeOutput(allAtOnce(onHardware)));
    }),
  );
});

test("no console makes it throw", () => {
  const line = fc.oneof(fc.constantFrom(...emulated), fc.string());
  const chunk = fc.record({ text: fc.array(line).map((lines) => lines.join("")), atMs: fc.double() });
  fc.assert(
    fc.property(fc.array(chunk), (chunks) => {
      parseProbeOutput(chunks);
    }),
  );
});
