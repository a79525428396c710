import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { openHost } from "../host/real/host.ts";
import { toVmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import { followOutput, keptOutput } from "./follow.ts";
import type { Machinery } from "./machinery.ts";
import { outputFiles } from "./output-files.ts";

const id = toVmId("vm-1");
const LIMIT = 64;

/** A state directory with one VM, whose console is written through the same bounded file as in life. */
function stage(t: Pick<TestContext, "after">) {
  const stateDir = fs.mkdtempSync(join(tmpdir(), "warder-follow-"));
  t.after(() => fs.rmSync(stateDir, { recursive: true, force: true }));
  fs.mkdirSync(`${stateDir}/vms`);
  let record: Partial<VmRecord> | undefined = { id };
  const settings = { stateDir, consoleLimitBytes: LIMIT, logLimitBytes: LIMIT };
  const machinery = { host: openHost(), settings, store: { get: () => record } } as unknown as Machinery;
  const { console } = outputFiles(machinery, id);
  return {
    machinery,
    stateDir,
    print: (text: string) => console.append(Buffer.from(text)),
    end: (how: Partial<VmRecord> | undefined) => {
      record = how;
    },
  };
}

const ended = { id, exit: { cause: "guest-ended", code: 0, signal: null, evidence: [], at: 0 } } as const;

function readKept(machinery: Machinery): { text: string; position: Parameters<typeof followOutput>[3] } {
  const kept = keptOutput(machinery, id, "console");
  let text = "";
  for (;;) {
    const next = kept.next();
    if (next.done === true) return { text, position: next.value };
    text += Buffer.from(next.value);
  }
}

test("what is kept comes in order, from both halves", (t) => {
  const { machinery, print } = stage(t);
  print("a".repeat(30));
  print("b".repeat(30));
  assert.equal(readKept(machinery).text, "a".repeat(30) + "b".repeat(30));
});

test("a VM that has printed nothing has nothing", (t) => {
  assert.equal(readKept(stage(t).machinery).text, "");
});

test("what comes is shown once, however the files turn over, and the end is the VM's", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 12 }), async (texts) => {
      const after: (() => void)[] = [];
      const { machinery, print, end } = stage({ after: (work: () => void) => void after.push(work) } as never);
      const { text, position } = readKept(machinery);
      let shown = text;
      const rest = [...texts];
      const turn = () => {
        const next = rest.shift();
        if (next === undefined) end(ended);
        else print(next);
      };
      // Each look at the output is followed by more of it, without any real waiting.
      const clock = { ...machinery.host.clock, sleep: async () => turn() };
      const eager = { ...machinery, host: { ...machinery.host, clock } };
      const { signal } = new AbortController();
      for await (const chunk of followOutput(eager, id, "console", position, signal)) shown += Buffer.from(chunk);
      assert.equal(shown, Buffer.from(texts.join("")).toString());
      for (const work of after) work();
    }),
    { numRuns: 30 },
  );
});

test("where more was printed than is kept, it goes on with what there is", async (t) => {
  const { machinery, print, end } = stage(t);
  print("first");
  const { position } = readKept(machinery);
  for (let round = 0; round < 5; round++) print(`${round}`.repeat(30));
  end(ended);
  let shown = "";
  const { signal } = new AbortController();
  for await (const chunk of followOutput(machinery, id, "console", position, signal)) shown += Buffer.from(chunk);
  assert.equal(shown, "3".repeat(30) + "4".repeat(30));
});

test("a VM that was removed is at its end", async (t) => {
  const { machinery, stateDir, end } = stage(t);
  const { position } = readKept(machinery);
  fs.rmSync(`${stateDir}/vms`, { recursive: true });
  end(undefined);
  const { signal } = new AbortController();
  for await (const _chunk of followOutput(machinery, id, "console", position, signal)) assert.fail("there is nothing");
});

test("following is given up with the signal's reason", async (t) => {
  const { machinery } = stage(t);
  const reason = new Error("enough");
  const following = followOutput(machinery, id, "console", { inode: 0, offset: 0 }, AbortSignal.abort(reason));
  await assert.rejects(following.next(), reason);
});

test("a file that is replaced while it is read is not mixed up with the other", (t) => {
  const { machinery, print } = stage(t);
  print("a".repeat(20));
  const { files } = machinery.host;
  let looks = 0;
  const readSlice: typeof files.readSlice = (path, offset, bytes) => {
    if (looks++ === 0) print("b".repeat(20));
    return files.readSlice(path, offset, bytes);
  };
  const host = { ...machinery.host, files: { ...files, readSlice } };
  assert.equal(readKept({ ...machinery, host }).text, "");
  assert.equal(readKept(machinery).text, "a".repeat(20) + "b".repeat(20));
});
