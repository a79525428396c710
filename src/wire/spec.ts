import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  DriveSchema,
  VmSpecSchema,
  Drive as WireDrive,
  Restart as WireRestart,
  VmSpec as WireSpec,
} from "../../gen/warder/v1/vm_pb.js";
import type { VmSpecInput } from "../vm/spec.ts";
import { fromWireLadder, toWireLadder } from "./exit.ts";
import { fromWireLimits, toWireLimits } from "./limits.ts";
import { fromWireRateLimit, toWireRateLimit } from "./rate-limit.ts";
import { present, toMore } from "./values.ts";
import { words } from "./words.ts";

type DriveInput = NonNullable<VmSpecInput["drives"]>[number];
type RestartInput = NonNullable<VmSpecInput["restart"]>;

/** A description of a VM for the wire. Whom it belongs to stands beside it, in the request. */
export function toWireSpec(input: VmSpecInput): MessageInitShape<typeof VmSpecSchema> {
  const { id, kernel, initrd, bootArgs, vcpus, memoryMib, drives, limits, policy, jailed, uid, gid, ...others } = input;
  const { netns, newPidNamespace, apiSocket, shutdown, startTimeoutMs, labels, restart, tenant, ...rest } = others;
  return present({
    ...{ id, kernel, initrd, bootArgs, vcpus, memoryMib, jailed, uid, gid },
    ...{ netns, newPidNamespace, apiSocket, startTimeoutMs },
    drives: drives?.map(toWireDrive),
    limits: limits === undefined ? undefined : toWireLimits(limits),
    policy: policy === undefined ? undefined : words.policy.toWire(policy),
    shutdown: shutdown === undefined ? undefined : toWireLadder(shutdown),
    labels: labels === undefined ? undefined : { ...labels },
    restart: restart === undefined ? undefined : toWireRestart(restart),
    more: toMore(rest),
  });
}

/** A description of a VM as a caller gave it on the wire: nothing of it is checked yet. */
export function fromWireSpec(spec: WireSpec): VmSpecInput {
  const { id, kernel, initrd, bootArgs, vcpus, memoryMib, jailed, uid, gid } = spec;
  const { netns, newPidNamespace, apiSocket, startTimeoutMs, more } = spec;
  const { drives, limits, policy, shutdown, labels, restart } = spec;
  return present({
    ...(more as Partial<VmSpecInput> | undefined),
    ...{ id, kernel, initrd, bootArgs, vcpus, memoryMib, jailed, uid, gid },
    ...{ netns, newPidNamespace, apiSocket, startTimeoutMs },
    drives: drives.length === 0 ? undefined : drives.map(fromWireDrive),
    limits: limits === undefined ? undefined : fromWireLimits(limits),
    policy: words.policy.fromWire(policy),
    shutdown: shutdown.length === 0 ? undefined : fromWireLadder(shutdown),
    labels: Object.keys(labels).length === 0 ? undefined : labels,
    restart: restart === undefined ? undefined : fromWireRestart(restart),
  }) as unknown as VmSpecInput;
}

function toWireDrive({ id, path, readOnly, root, rateLimit }: DriveInput): MessageInitShape<typeof DriveSchema> {
  const limit = rateLimit === undefined ? undefined : toWireRateLimit(rateLimit);
  return present({ id, path, readOnly, root, rateLimit: limit });
}

function fromWireDrive({ id, path, readOnly, root, rateLimit }: WireDrive): DriveInput {
  const limit = rateLimit === undefined ? undefined : fromWireRateLimit(rateLimit);
  return present({ id, path, readOnly, root, rateLimit: limit }) as DriveInput;
}

function toWireRestart({ policy, ...rest }: RestartInput) {
  return present({ ...rest, policy: policy === undefined ? undefined : words.restart.toWire(policy) });
}

function fromWireRestart({ policy, maxRetries, backoffMs, maxBackoffMs, resetAfterMs }: WireRestart): RestartInput {
  const word = words.restart.fromWire(policy);
  return present({ policy: word, maxRetries, backoffMs, maxBackoffMs, resetAfterMs }) as RestartInput;
}
