import type { Vsock } from "../../firecracker/models.ts";
import { WarderError } from "../../vm/error.ts";
import type { VmRecord } from "../../vm/record.ts";
import { guestSocket, portSocket, VSOCK_SOCKET_NAME } from "../../vsock/place.ts";
import type { Step } from "../engine.ts";
import type { Machinery } from "../machinery.ts";
import { need, type StartContext } from "../start-context.ts";
import { placeOf } from "../vsock-brokers.ts";

/** `sun_path` holds 108 bytes with its NUL. */
const SOCKET_PATH_MAX_BYTES = 107;

/** The longest of ports. */
const LONGEST_PORT = 0xffff_fffe;

/**
 * Opens the ports of a VM's vsock, before there is a guest: what it dials is there when it begins to run. The sockets lie
 * in the VM's own directory, and go with it.
 */
export const openVsock: Step<StartContext> = {
  name: "open-vsock",
  async run(context) {
    const { machinery, plan } = context;
    if (plan.spec.vsock === undefined) return;
    context.record = leaseContextId(machinery, need(context, "record"));
    refuseLongPath(context.record);
    await machinery.vsock.open(context.record);
  },
  undoAlways: true,
  undo({ machinery, plan }) {
    machinery.vsock.close(plan.id);
  },
};

/** The device as Firecracker's configuration has it; `undefined` for a VM without. */
export function vsockDevice(record: VmRecord): Vsock | undefined {
  if (record.vsock === undefined) return undefined;
  const socket = record.jailed ? `/${VSOCK_SOCKET_NAME}` : guestSocket(placeOf(record));
  return { guest_cid: record.vsock.cid, uds_path: socket };
}

/** The one that it had before, where nobody else has got it since. */
function leaseContextId({ store, settings }: Machinery, { id, vsock }: VmRecord): VmRecord {
  return store.transaction(() => {
    const isKept = vsock !== undefined && store.leases.claim("vsock-cid", vsock.cid, id);
    const range = settings.network.vsockCids;
    const cid = isKept ? vsock.cid : store.leases.take("vsock-cid", range, id);
    if (cid === undefined) throw contextIdsExhausted(id, range);
    return store.update(id, (record) => ({ ...record, vsock: { cid: Number(cid) } }));
  });
}

function contextIdsExhausted(id: string, { first, count }: { first: number; count: number }): WarderError {
  return new WarderError("ids-exhausted", {
    doing: `leasing a vsock context id for ${id}`,
    why: `all ${count} from ${first} on are in use`,
    cure: "Remove VMs that have ended, or widen WARDER_NETWORK_VSOCK_CIDS",
  });
}

/** In a jail Firecracker sees a short path; without one it sees the host's. */
function refuseLongPath(record: VmRecord): void {
  if (record.jailed) return;
  const longest = portSocket(placeOf(record), LONGEST_PORT);
  const over = Buffer.byteLength(longest) - SOCKET_PATH_MAX_BYTES;
  if (over <= 0) return;
  throw new WarderError("socket-path-too-long", {
    doing: `planning the vsock of ${record.id}`,
    why: `its socket ${longest} would have ${over} bytes more than a Unix socket's path can have`,
    cure: `Make the id or the state directory ${over} bytes shorter`,
  });
}
