import * as z from "zod";
import { messageOf } from "../vm/error.ts";
import { exitCauses } from "../vm/exit.ts";
import { type VmId, vmIdProblem } from "../vm/id.ts";
import { layoutProblem } from "../vm/layout.ts";
import { pathProblem } from "../vm/path.ts";
import type { VmRecord } from "../vm/record.ts";
import { vmStates } from "../vm/state.ts";
import { type Lease, leaseKinds } from "./leases.ts";
import { type LedgerEntry, ledgerKinds } from "./ledger.ts";

/** Everything that the store has of one VM. What is written beside the VM's output, to be found if the store is lost. */
export interface VmDescription {
  readonly record: VmRecord;
  readonly leases: readonly Lease[];
  readonly ledger: readonly LedgerEntry[];
  readonly documents: Readonly<Record<string, unknown>>;
}

const FORMAT = 1;

/** Longest text that can be one: a record has some KB. */
export const DESCRIPTION_MAX_BYTES = 1024 * 1024;

const count = z.int().min(0);
const path = z.string().refine((value) => pathProblem(value) === undefined);
const process = z.object({
  pid: z.int().positive(),
  startTicks: z.string().regex(/^\d+$/),
  bootId: z.string().min(1).max(64),
});
const exit = z.looseObject({
  cause: z.enum(exitCauses),
  evidence: z.array(z.string()),
  at: z.number(),
  code: z.int().nullable(),
  signal: z.string().nullable(),
});
const layout = z.looseObject({
  id: z.string(),
  base: path,
  execName: z.string(),
  directory: path,
  root: path,
  io: path,
  alias: path,
  socket: path,
  apiSocket: path,
});

/** What is acted on is checked; the rest is shown only, and kept as it was written. */
const record = z
  .looseObject({
    id: z.string().refine((value) => vmIdProblem(value) === undefined),
    state: z.enum(vmStates),
    generation: count,
    incarnation: count,
    createdAt: z.number(),
    spec: z.looseObject({
      kernel: z.string(),
      vcpus: z.int().positive(),
      memoryMib: z.int().positive(),
      policy: z.enum(["strict", "degrade"]),
      jailed: z.boolean(),
      newPidNamespace: z.boolean(),
      limits: z.looseObject({}),
      drives: z.array(z.looseObject({})),
      shutdown: z.array(z.looseObject({})),
      restart: z.looseObject({}),
    }),
    binaries: z.looseObject({ firecracker: path, jailer: path.optional(), version: z.string() }),
    jailed: z.boolean(),
    uid: count,
    gid: count,
    layout,
    cgroup: z
      .object({ version: z.union([z.literal(1), z.literal(2)]), path, directories: z.record(z.string(), path) })
      .optional(),
    process: process.optional(),
    owner: process.optional(),
    rootIdentity: z.object({ device: count, inode: count }).optional(),
    timings: z.record(z.string(), z.number()),
    history: z.array(z.looseObject({ incarnation: count, exit })),
    exit: exit.optional(),
  })
  .superRefine((value, context) => {
    const problem = layoutProblem(value.layout as unknown as VmRecord["layout"], value.jailed);
    if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
    if (value.layout.id !== value.id) context.addIssue({ code: "custom", message: "its jail is another VM's" });
  });

const description = z.object({
  format: z.literal(FORMAT),
  record,
  leases: z.array(z.object({ kind: z.enum(leaseKinds), value: z.string().max(256) })),
  ledger: z.array(z.object({ kind: z.enum(ledgerKinds), name: z.string().max(4096) })),
  documents: z.record(z.string(), z.unknown()),
});

/** A description as text. */
export function formatDescription({ record, leases, ledger, documents }: VmDescription): string {
  return `${JSON.stringify({ format: FORMAT, record, leases, ledger, documents })}\n`;
}

/** A description of the VM of this id, or why the text is none. Total. */
export function parseDescription(text: string, id: VmId): VmDescription | { readonly problem: string } {
  try {
    const parsed = description.safeParse(JSON.parse(text));
    if (!parsed.success) return { problem: z.prettifyError(parsed.error) };
    if (parsed.data.record.id !== id) return { problem: `it is of ${parsed.data.record.id}` };
    const { format: _format, ...described } = parsed.data;
    return described as unknown as VmDescription;
  } catch (error) {
    return { problem: messageOf(error) };
  }
}
