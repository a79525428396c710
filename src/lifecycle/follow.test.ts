import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { openHost } from "../host/real/host.ts";
import { toVmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import { OutputReader } from "./follow.ts";
import type { Machinery } from "./machinery.ts";
import { outputFiles } from "./output-files.ts";

const id = toVmId("vm-1");
const LIMIT = 64;

/** A state directory with one VM, whose console is written through the same bounded file as in life. */
function stage(t: Pick<TestContext, "after">) {
  const stateDir = fs.mkdtempSync(join(tmpdir(), "warder-follow-"));
  fs.mkdirSync(`${stateDir}/vms`);
  let record: Partial<VmRecord> | undefined = { id };
  const settings = { stateDir, consoleLimitBytes: LIMIT, logLimitBytes: LIMIT };
  const machinery = { host: openHost(), settings, store: { get: () => record } } as unknown as Machinery;
  const { console } = outputFiles(machinery, id);
  t.after(async () => {
    await console.close();
    fs.rmSync(stateDir, { recursive: true, force: true });
  });
  return {
    machinery,
    stateDir,
    /** Settles when it is where a reader finds it. */
    print(text: string): Promise<void> {
      console.append(Buffer.from(text));
      return console.flush();
    },
    end: (how: Partial<VmRecord> | undefined) => {
      record = how;
    },
  };
}

const ended = { id, exit: { cause: "guest-ended", code: 0, signal: null, evidence: [], at: 0 } } as const;

/** Everything that is new to a reader. */
function readText(reader: OutputReader): string {
  return Buffer.concat([...reader.read()]).toString();
}

async function followText(reader: OutputReader, signal = new AbortController().signal): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of reader.follow(signal)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test("what is kept comes in order, from both halves, and only once", async (t) => {
  const { machinery, print } = stage(t);
  using reader = new OutputReader(machinery, id, "console");
  assert.equal(readText(reader), "");
  await print("a".repeat(30));
  await print("b".repeat(30));
  assert.equal(readText(reader), "a".repeat(30) + "b".repeat(30));
  assert.equal(readText(reader), "");
  await print("cc");
  assert.equal(readText(reader), "cc");
});

test("what comes is shown once, however the files turn over, and the end is the VM's", async () => {
  const text = fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(fc.array(text, { maxLength: 12 }), async (texts) => {
      const after: (() => Promise<void>)[] = [];
      const { machinery, print, end } = stage({ after: (work: () => Promise<void>) => void after.push(work) } as never);
      const rest = [...texts];
      const turn = async () => {
        const next = rest.shift();
        if (next === undefined) end(ended);
        else await print(next);
      };
      // Each look at the output is followed by more of it, without any real waiting.
      const clock = { ...machinery.host.clock, sleep: async () => turn() };
      using reader = new OutputReader({ ...machinery, host: { ...machinery.host, clock } }, id, "console");
      assert.equal(await followText(reader), texts.join(""));
      for (const work of after) await work();
    }),
    { numRuns: 30 },
  );
});

test("where more was printed than is kept, it goes on with what there is", async (t) => {
  const { machinery, print, end } = stage(t);
  await print("first");
  using reader = new OutputReader(machinery, id, "console");
  assert.equal(readText(reader), "first");
  for (let round = 0; round < 5; round++) await print(`${round}`.repeat(30));
  end(ended);
  assert.equal(await followText(reader), "3".repeat(30) + "4".repeat(30));
});

test("a guest that prints without end does not keep a look from ending", async (t) => {
  const { machinery, print } = stage(t);
  await print("x".repeat(30));
  using reader = new OutputReader(machinery, id, "console");
  let looks = 0;
  for (const _chunk of reader.read()) {
    looks++;
    await print("x".repeat(30));
  }
  assert.ok(looks < 10, `${looks} chunks`);
});

test("a VM that was removed is at its end", async (t) => {
  const { machinery, stateDir, end } = stage(t);
  fs.rmSync(`${stateDir}/vms`, { recursive: true });
  end(undefined);
  using reader = new OutputReader(machinery, id, "console");
  assert.equal(await followText(reader), "");
});

test("following is given up with the signal's reason", async (t) => {
  const { machinery } = stage(t);
  const reason = new Error("enough");
  using reader = new OutputReader(machinery, id, "console");
  await assert.rejects(followText(reader, AbortSignal.abort(reason)), reason);
});
