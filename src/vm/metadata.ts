import * as z from "zod";

/** Any JSON value. */
export type Json = z.infer<ReturnType<typeof z.json>>;

/** A JSON document whose top is an object. */
export type JsonObject = { readonly [name: string]: Json };

/** What a guest can ask for at a link-local address, answered by Firecracker itself (MMDS). */
export interface MetadataSpec {
  /** What is served. Changed while the VM runs, this changes with it. */
  readonly data: JsonObject;
  /** V2 answers only with a token, which a guest's program that is made to fetch a URL can not get. */
  readonly version: "V1" | "V2";
  /** Absent: 169.254.169.254. */
  readonly address?: string;
  /** Interfaces on which it is served, by their names. Absent: the first. */
  readonly interfaces?: readonly string[];
  /** Answers in the form of EC2's service, with V2. Firecracker 1.13. */
  readonly imdsCompat?: boolean;
  /** Most bytes of the data as JSON. */
  readonly limitBytes: number;
}

/** Firecracker's own default, of the data and of a request. */
export const METADATA_LIMIT_BYTES = 51_200;

/** Far below what this process takes as an answer. */
const LIMIT_MAXIMUM_BYTES = 512 * 1024;

/** Firecracker reads 128 levels, of which its own requests need some. */
const DEPTH_MAXIMUM = 100;

const jsonObject = z
  .unknown()
  .refine(isShallow, { error: `must be nested at most ${DEPTH_MAXIMUM} levels deep` })
  .pipe(z.record(z.string(), z.json()));

const linkLocal = z
  .string()
  .regex(/^169\.254\.(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])\.(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])$/, {
    error: "must be a link-local IPv4 address, such as 169.254.169.254",
  });

/** Parses what is served. */
export const metadataSchema = z
  .strictObject({
    data: jsonObject.default({}),
    version: z.enum(["V1", "V2"]).default("V2"),
    address: linkLocal.optional(),
    interfaces: z
      .array(z.string().regex(/^[A-Za-z0-9_]{1,15}$/, "must be the name of an interface"))
      .min(1)
      .optional(),
    imdsCompat: z.boolean().optional(),
    limitBytes: z.int().min(1).max(LIMIT_MAXIMUM_BYTES).default(METADATA_LIMIT_BYTES),
  })
  .superRefine(({ data, limitBytes }, context) => {
    const problem = metadataProblem(data, limitBytes);
    if (problem !== undefined) context.addIssue({ code: "custom", path: ["data"], message: problem });
  })
  .transform((spec) => spec as MetadataSpec);

/** Says what is wrong with the size of data, or `undefined`. */
export function metadataProblem(data: JsonObject, limitBytes: number): string | undefined {
  const bytes = Buffer.byteLength(JSON.stringify(data));
  return bytes <= limitBytes ? undefined : `has ${bytes} bytes as JSON, and may have ${limitBytes}`;
}

/** Parses data alone; `undefined` where it is not a JSON object, or too deep a one. */
export function parseMetadata(input: unknown): JsonObject | undefined {
  return jsonObject.safeParse(input).data;
}

/** Looked at level by level: whatever goes from value to value by calls would fail on what is too deep. */
function isShallow(value: unknown): boolean {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DEPTH_MAXIMUM) return false;
    level = level.flatMap((each) => (typeof each === "object" && each !== null ? Object.values(each) : []));
  }
  return true;
}

/** What a patch makes of data (RFC 7396): `null` removes a member, objects are merged, all else takes the place. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  // A map, as a member called `__proto__` is one like any other.
  const merged = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name);
    else merged.set(name, mergePatch(merged.get(name), value));
  }
  return Object.fromEntries(merged);
}

function isObject(value: Json | undefined): value is { [name: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
