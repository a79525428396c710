import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import type { Vm, VmSchema } from "../../gen/warder/v1/vm_pb.js";
import type { VmView } from "../vm/view.ts";
import { fromWireExit, toWireExit } from "./exit.ts";
import { fromWireIsolation, toWireIsolation } from "./isolation.ts";
import { fromWireLimits, toWireLimits } from "./limits.ts";
import { fromTimestamp, present, toMore, toTimestamp } from "./values.ts";
import { words } from "./words.ts";

/** What `inspect` shows of a VM, for the wire. */
export function toWireVm(view: VmView): MessageInitShape<typeof VmSchema> {
  const { id, state, pid, jailed, jail, limits, isolation, timings, exit, vcpus, memoryMib, kernel, ...others } = view;
  const { firecrackerVersion, cgroup, createdAt, generation, tenant, labels, ...rest } = others;
  return present({
    ...{ id, jailed, jail, vcpus, memoryMib, kernel, firecrackerVersion, tenant },
    state: words.state.toWire(state),
    pid: pid ?? undefined,
    limits: toWireLimits(limits),
    isolation: isolation === null ? undefined : toWireIsolation(isolation),
    timings: { ...timings },
    exit: exit === undefined ? undefined : toWireExit(exit),
    cgroup: cgroup === null ? undefined : { version: cgroup.version, directories: { ...cgroup.directories } },
    createdAt: toTimestamp(Date.parse(createdAt)),
    generation: BigInt(generation),
    labels: labels === undefined ? undefined : { ...labels },
    more: toMore(rest),
  });
}

/** The same, of the wire. */
export function fromWireVm(vm: Vm): VmView {
  const { id, state, pid, jailed, jail, limits, isolation, timings, exit, vcpus, memoryMib, kernel } = vm;
  const { firecrackerVersion, cgroup, createdAt, generation, tenant, labels, more } = vm;
  return {
    id,
    state: toState(words.state.fromWire(state)),
    pid: pid ?? null,
    jailed,
    jail: fromJail(jail),
    limits: limits === undefined ? {} : fromWireLimits(limits),
    isolation: isolation === undefined ? null : fromWireIsolation(isolation),
    timings,
    ...(exit === undefined ? {} : { exit: fromWireExit(exit) }),
    ...{ vcpus, memoryMib, kernel, firecrackerVersion },
    cgroup: cgroup === undefined ? null : { version: cgroup.version as 1 | 2, directories: cgroup.directories },
    createdAt: new Date(fromTimestamp(createdAt)).toISOString(),
    generation: Number(generation),
    ...(tenant === "" ? {} : { tenant }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(more as JsonObject | undefined),
  };
}

/** A state of a newer daemon's is one in which nothing can be asked of the VM by this client. */
function toState(word: ReturnType<typeof words.state.fromWire>): VmView["state"] {
  return word === undefined || word === "removed" ? "failed" : word;
}

function fromJail(jail: Vm["jail"]): VmView["jail"] {
  const { id = "", root = "", socket = "", uid = 0, gid = 0 } = jail ?? {};
  return { id, root, socket, uid, gid };
}
