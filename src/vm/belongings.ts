import * as z from "zod";
import type { Brand } from "./brand.ts";

/** Whom a VM belongs to where several parties share a host: 1 to 63 ASCII letters, digits, dots, hyphens, underscores. */
export type Tenant = Brand<string, "Tenant">;

/** The tenant of VMs that nobody is named for. */
export const defaultTenant = "default" as Tenant;

/** A caller's own notes about a VM, given back unchanged. */
export type Labels = Readonly<Record<string, string>>;

const LABELS_MAX = 64;
const LABEL_KEY_MAX_BYTES = 128;
const LABEL_VALUE_MAX_BYTES = 4096;
/** A request as it was given has at most the size of a request. */
const ANNOTATION_VALUE_MAX_BYTES = 1024 * 1024;

/** Says what is wrong with a tenant's name, or `undefined`. */
export function tenantProblem(value: string): string | undefined {
  if (value.length === 0) return "must not be empty";
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(value)) return undefined;
  return "must be 1 to 63 letters, digits, dots, hyphens and underscores, the first a letter or a digit";
}

/** Parses a {@link Tenant}. */
export const tenantSchema = z.string().superRefine((value, context) => {
  const problem = tenantProblem(value);
  if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
});

/** Parses {@link Labels}. */
export const labelsSchema = texts(LABEL_VALUE_MAX_BYTES).refine((labels) => Object.keys(labels).length <= LABELS_MAX, {
  error: `must be at most ${LABELS_MAX}`,
});

/** Parses what a face keeps with a VM. */
export const annotationsSchema = texts(ANNOTATION_VALUE_MAX_BYTES);

function texts(valueMaxBytes: number) {
  return z.record(z.string(), z.string()).superRefine((record, context) => {
    for (const [key, value] of Object.entries(record)) {
      const problem = textProblem(key, value, valueMaxBytes);
      if (problem !== undefined) context.addIssue({ code: "custom", path: [key], message: problem });
    }
  });
}

function textProblem(key: string, value: string, valueMaxBytes: number): string | undefined {
  const keyBytes = Buffer.byteLength(key);
  if (keyBytes === 0 || keyBytes > LABEL_KEY_MAX_BYTES) return `the key must be 1 to ${LABEL_KEY_MAX_BYTES} bytes`;
  return Buffer.byteLength(value) > valueMaxBytes ? `must be at most ${valueMaxBytes} bytes` : undefined;
}
