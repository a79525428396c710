import * as z from "zod";
import { annotationsSchema, type Labels, labelsSchema, type Tenant, tenantSchema } from "./belongings.ts";
import { type FieldProblem, WarderError } from "./error.ts";
import { type VmId, vmIdProblem } from "./id.ts";
import type { IsolationPolicy } from "./isolation.ts";
import { type Limits, memoryLimitFor } from "./limits.ts";
import { type MetadataSpec, metadataSchema } from "./metadata.ts";
import { type NetworkSpec, networksSchema } from "./network/spec.ts";
import { type HostPath, type JailPath, jailPathProblem, pathProblem } from "./path.ts";
import { type RateLimit, rateLimitSchema } from "./rate-limit.ts";
import { DEFAULT_MAX_RETRIES, defaultRestart, type RestartPolicy } from "./restart.ts";
import { defaultShutdownLadder, type ShutdownLadder } from "./shutdown.ts";
import { type Bytes, type MiB, mibToBytes, type Uid, uidProblem } from "./size.ts";
import { type VsockSpec, vsockSchema } from "./vsock.ts";

/** Least guest memory that any face of Warder accepts. */
export const MEMORY_MINIMUM_MIB = 128;

/** Firecracker's own limit. */
export const VCPUS_MAXIMUM = 32;

/** Firecracker's own limit on x86-64: 2 KiB with the final NUL. */
export const BOOT_ARGS_MAX_CHARACTERS = 2047;

/** A disk of a VM. */
export interface Drive {
  /** Letters, digits and underscores: part of a path of Firecracker's API. */
  readonly id: string;
  readonly path: HostPath;
  /** Shared into the jail as it is where true; copied for this VM alone where false. */
  readonly readOnly: boolean;
  /** The disk the kernel mounts as `/`. At most one. */
  readonly root: boolean;
  /** Absent: as fast as the host can. */
  readonly rateLimit?: RateLimit;
}

/** What a VM is to be, complete and checked. Made only by {@link parseVmSpec}. */
export interface VmSpec {
  /** Absent: Warder makes one. */
  readonly id?: VmId;
  /** `probe`: the built-in guest of a few KB. `none`: no guest; Firecracker waits for its configuration on its API. */
  readonly kernel: HostPath | "probe" | "none";
  readonly initrd?: HostPath;
  readonly bootArgs: string;
  readonly vcpus: number;
  readonly memoryMib: MiB;
  readonly drives: readonly Drive[];
  /** Absent: the guest is served none. */
  readonly metadata?: MetadataSpec;
  /** Absent: the VM has no vsock device. */
  readonly vsock?: VsockSpec;
  readonly limits: Limits;
  readonly policy: IsolationPolicy;
  /** False starts Firecracker without the jailer; refused under `strict`. */
  readonly jailed: boolean;
  /** Absent: leased from the range. */
  readonly uid?: Uid;
  readonly gid?: Uid;
  /** Network namespace to join, which the caller has made. Absent: the host's, or with {@link networks} one of its own. */
  readonly netns?: HostPath;
  /** The VM's interfaces. None: a network namespace of its own with nothing in it. Absent: no interface, and no namespace. */
  readonly networks?: readonly NetworkSpec[];
  readonly newPidNamespace: boolean;
  /** Where Firecracker's API socket lies inside the jail. */
  readonly apiSocket: JailPath;
  readonly shutdown: ShutdownLadder;
  readonly restart: RestartPolicy;
  /** Most milliseconds from the call until the VM runs and is proven. */
  readonly startTimeoutMs: number;
  /** Whom it belongs to. Absent: whoever has the host. */
  readonly tenant?: Tenant;
  /** The caller's own notes. */
  readonly labels?: Labels;
  /** What a face keeps with the VM for itself, such as the request as it was given. Nobody else reads it. */
  readonly annotations?: Labels;
}

/**
 * Whether no guest is booted: Firecracker waits, jailed and proven, for its configuration on its API, which is the
 * caller's from then on. Asked for by a word, as a kernel that was forgotten must not come to this.
 */
export function isApiOnly({ kernel }: Pick<VmSpec, "kernel">): boolean {
  return kernel === "none";
}

/** Defaults that differ from face to face. */
export interface VmSpecDefaults {
  readonly memoryMib: number;
  readonly policy: IsolationPolicy;
  readonly apiSocket: string;
}

/** Defaults of the host API and the command line. */
export const hostDefaults: VmSpecDefaults = Object.freeze({
  memoryMib: MEMORY_MINIMUM_MIB,
  policy: "strict",
  apiSocket: "/run/firecracker.socket",
});

/**
 * Kernel arguments where the caller gives none: console on the serial port, end the VM on reboot and panic, no probing
 * for buses that are not there, and the i8042 driver that answers Ctrl-Alt-Del.
 */
export const DEFAULT_BOOT_ARGS = "console=ttyS0 reboot=k panic=1 pci=off i8042.noaux i8042.nomux i8042.dumbkbd";

const refine = (problem: (value: string) => string | undefined) =>
  z.string().superRefine((value, context) => {
    const found = problem(value);
    if (found !== undefined) context.addIssue({ code: "custom", message: found });
  });

const hostPath = refine(pathProblem);
const uid = z.number().superRefine((value, context) => {
  const found = uidProblem(value);
  if (found !== undefined) context.addIssue({ code: "custom", message: found });
});
const whole = (least: number, most: number) => z.int().min(least).max(most);
const cpuList = z.string().regex(/^\d+(-\d+)?(,\d+(-\d+)?)*$/, "must be a list such as 0-3,8");
const rate = whole(1, Number.MAX_SAFE_INTEGER).optional();

const ioLimit = z.strictObject({
  device: z.string().regex(/^\d+:\d+$/, "must be major:minor, such as 8:0"),
  readBytesPerSecond: rate,
  writeBytesPerSecond: rate,
  readOperationsPerSecond: rate,
  writeOperationsPerSecond: rate,
});

const limits = z.strictObject({
  memoryBytes: whole(1, Number.MAX_SAFE_INTEGER).optional(),
  cpuPercent: whole(1, 100_000).optional(),
  cpuWeight: whole(1, 10_000).optional(),
  cpus: cpuList.optional(),
  memoryNodes: cpuList.optional(),
  pids: whole(1, 4_194_304).optional(),
  io: z.array(ioLimit).optional(),
  openFiles: whole(64, 1_048_576).optional(),
  fileSizeBytes: whole(1, Number.MAX_SAFE_INTEGER).optional(),
});

const drive = z.strictObject({
  id: z
    .string()
    .regex(/^[A-Za-z0-9_]{1,64}$/, "may hold only letters, digits and underscores")
    .optional(),
  path: hostPath,
  readOnly: z.boolean().default(false),
  root: z.boolean().default(false),
  rateLimit: rateLimitSchema.optional(),
});

const rung = z.strictObject({
  method: z.enum(["ctrl-alt-del", "sigterm", "sigkill"]),
  timeoutMs: whole(0, 3_600_000),
});

const restart = z
  .strictObject({
    policy: z.enum(["never", "on-failure", "always"]).default(defaultRestart.policy),
    maxRetries: whole(1, 1_000_000).optional(),
    backoffMs: whole(10, 3_600_000).default(defaultRestart.backoffMs),
    maxBackoffMs: whole(10, 86_400_000).optional(),
    resetAfterMs: whole(1, 86_400_000).default(defaultRestart.resetAfterMs),
  })
  .refine(
    ({ backoffMs, maxBackoffMs }) => maxBackoffMs === undefined || maxBackoffMs >= backoffMs,
    "maxBackoffMs must not be below backoffMs",
  );

const schema = z.strictObject({
  id: refine(vmIdProblem).optional(),
  kernel: z.union([z.enum(["probe", "none"]), hostPath]),
  initrd: hostPath.optional(),
  bootArgs: z
    .string()
    .max(
      BOOT_ARGS_MAX_CHARACTERS,
      `must be at most ${BOOT_ARGS_MAX_CHARACTERS} characters: Firecracker's limit on x86-64`,
    )
    .regex(/^[\x20-\x7e]*$/, "may hold only printable ASCII")
    .default(DEFAULT_BOOT_ARGS),
  vcpus: whole(1, VCPUS_MAXIMUM).default(1),
  memoryMib: whole(MEMORY_MINIMUM_MIB, 16 * 1024 * 1024).optional(),
  drives: z.array(drive).max(16).default([]),
  metadata: metadataSchema.optional(),
  vsock: vsockSchema.optional(),
  limits: limits.default({}),
  policy: z.enum(["strict", "degrade"]).optional(),
  jailed: z.boolean().default(true),
  uid: uid.optional(),
  gid: uid.optional(),
  netns: hostPath.optional(),
  networks: networksSchema.optional(),
  newPidNamespace: z.boolean().default(false),
  apiSocket: refine(jailPathProblem).optional(),
  shutdown: z
    .array(rung)
    .min(1)
    .refine((rungs) => rungs.at(-1)?.method === "sigkill", "must end with sigkill: nothing else is sure to work")
    .optional(),
  restart: restart.optional(),
  startTimeoutMs: whole(100, 600_000).default(30_000),
  tenant: tenantSchema.optional(),
  labels: labelsSchema.optional(),
  annotations: annotationsSchema.optional(),
});

/** What a caller gives for a VM: every member but `kernel` has a default. */
export type VmSpecInput = z.input<typeof schema>;

/**
 * Parses what a caller wants into a {@link VmSpec}.
 *
 * @param input - Anything; unknown members are refused by name.
 * @param defaults - The face's own.
 * @throws {@link WarderError} `invalid-argument`, naming all wrong fields at once.
 */
export function parseVmSpec(input: unknown, defaults: VmSpecDefaults = hostDefaults): VmSpec {
  const parsed = schema.safeParse(input);
  const problems = parsed.success ? relations(parsed.data) : parsed.error.issues.flatMap(toProblems);
  if (!parsed.success || problems.length > 0) {
    throw new WarderError("invalid-argument", {
      doing: "reading the description of a VM",
      why: problems.length === 1 ? "one field is wrong" : `${problems.length} fields are wrong`,
      fields: problems,
    });
  }
  return complete(parsed.data, defaults);
}

function complete(data: z.output<typeof schema>, defaults: VmSpecDefaults): VmSpec {
  const memoryMib = data.memoryMib ?? defaults.memoryMib;
  const spec = {
    ...data,
    memoryMib,
    policy: data.policy ?? defaults.policy,
    apiSocket: data.apiSocket ?? defaults.apiSocket,
    drives: data.drives.map((each, index) => ({ ...each, id: each.id ?? (each.root ? "rootfs" : `drive_${index}`) })),
    limits: { ...defaultLimits(memoryMib, data.vcpus), ...data.limits },
    shutdown: data.shutdown ?? defaultShutdownLadder,
    restart: data.restart === undefined ? defaultRestart : completeRestart(data.restart),
  };
  return Object.freeze(dropUndefined(spec)) as unknown as VmSpec;
}

/** The longest wait is never below the first; only `on-failure` has a ceiling of its own. */
function completeRestart({ maxRetries, maxBackoffMs, ...rest }: z.output<typeof restart>): RestartPolicy {
  const ceiling = maxRetries ?? (rest.policy === "on-failure" ? DEFAULT_MAX_RETRIES : undefined);
  return {
    ...rest,
    ...(ceiling === undefined ? {} : { maxRetries: ceiling }),
    maxBackoffMs: maxBackoffMs ?? Math.max(defaultRestart.maxBackoffMs, rest.backoffMs),
  };
}

/**
 * Limits that hold where the caller says nothing: memory for the guest and Firecracker, one core a vCPU, 1024 threads,
 * 2048 open files.
 */
export function defaultLimits(memoryMib: number, vcpus: number): Limits {
  return {
    memoryBytes: memoryLimitFor(mibToBytes(memoryMib)) as Bytes,
    cpuPercent: vcpus * 100,
    pids: 1024,
    openFiles: 2048,
  };
}

function relations(data: z.output<typeof schema>): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const roots = data.drives.filter((each) => each.root).length;
  if (roots > 1) problems.push({ field: "drives", problem: "only one drive can be the root" });
  const ids = data.drives.map((each, index) => each.id ?? (each.root ? "rootfs" : `drive_${index}`));
  ids.forEach((id, index) => {
    if (ids.indexOf(id) !== index) problems.push({ field: `drives[${index}].id`, problem: `${id} is there twice` });
  });
  if (data.gid !== undefined && data.uid === undefined)
    problems.push({ field: "uid", problem: "is needed beside gid" });
  if (!data.jailed && data.netns !== undefined) problems.push({ field: "netns", problem: "needs the jailer" });
  if (!data.jailed && data.networks !== undefined) problems.push({ field: "networks", problem: "needs the jailer" });
  if (data.uid === undefined && data.networks?.some(({ mode }) => mode === "tap") === true)
    problems.push({ field: "uid", problem: "is needed with a TAP device of the caller's, which must belong to it" });
  if (data.metadata !== undefined && (data.networks ?? []).length === 0)
    problems.push({ field: "metadata", problem: "needs a network interface for the guest to ask through" });
  const hasOwn = data.networks?.length === 0 || data.networks?.some(({ mode }) => mode !== "tap") === true;
  if (data.netns !== undefined && hasOwn)
    problems.push({ field: "netns", problem: "can only have the caller's own TAP devices: Warder's are in its own" });
  return problems;
}

function toProblems(issue: z.core.$ZodIssue): FieldProblem[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ field: formatPath([...issue.path, key]), problem: "is not a known field" }));
  }
  return [{ field: formatPath(issue.path), problem: describe(issue) }];
}

function describe(issue: z.core.$ZodIssue): string {
  if (issue.code === "too_small") return `must be at least ${issue.minimum}`;
  if (issue.code === "too_big")
    return issue.message.startsWith("must") ? issue.message : `must be at most ${issue.maximum}`;
  if (issue.code === "invalid_value") return `must be one of ${issue.values.map(String).join(", ")}`;
  if (issue.code === "invalid_type") return `must be ${article(issue.expected)}`;
  if (issue.code === "invalid_union") return issue.errors.flat().map(describe).join(", or ");
  return issue.message;
}

function article(expected: string): string {
  return `${/^[aeiou]/.test(expected) ? "an" : "a"} ${expected === "int" ? "whole number" : expected}`.replace(
    "an whole",
    "a whole",
  );
}

/** `["drives", 0, "path"]` as `drives[0].path`. */
function formatPath(path: readonly PropertyKey[]): string {
  const text = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
  return text.startsWith(".") ? text.slice(1) : text || "(the whole)";
}

function dropUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}
