import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { VmService } from "../../../gen/vmprovisioner/v1/vm_pb.js";

/** What each client does in a round, one after another. */
const CALLS = ["createVm", "getVmInfo", "listVms", "deleteVm"] as const;
type LoadCall = (typeof CALLS)[number];

/** What was asked, and what came of it. */
export interface LoadResult {
  /** Milliseconds of each answer, by call. */
  readonly latencies: Readonly<Record<LoadCall, readonly number[]>>;
  /** How many calls ended with which error. */
  readonly errors: Readonly<Record<string, number>>;
  /** VMs of which the daemon has said that they are made, and never that they are deleted. */
  readonly made: ReadonlySet<string>;
  /** Those that it may have made or deleted: the answer never came. */
  readonly unknown: ReadonlySet<string>;
}

/** What clients ask for. */
export interface LoadPlan {
  readonly clients: number;
  readonly kernel: string;
  readonly disk: string;
  /** Fires when no new call is to be made. */
  readonly over: AbortSignal;
  /** Every so many rounds a client keeps its VM. Absent: it keeps none. */
  readonly keepEvery?: number;
}

/** Settings under which admission is in nobody's way: VMs that are not booted take nothing. */
export const loadSettings = {
  WARDER_ADMISSION_MAX_VMS: "100000",
  WARDER_ADMISSION_CPU_OVERCOMMIT: "1000",
  WARDER_ADMISSION_VM_OVERHEAD_MIB: "0",
  WARDER_SERVER_REQUESTS_PER_SECOND: "100000",
  WARDER_SERVER_REQUEST_BURST: "100000",
} as const;

/** Clients at a daemon at once: each makes a VM, looks at it, lists, and deletes it, over and over. VMs are not booted. */
export async function load(transport: Transport, plan: LoadPlan): Promise<LoadResult> {
  const client = createClient(VmService, transport);
  const latencies: Record<LoadCall, number[]> = { createVm: [], getVmInfo: [], listVms: [], deleteVm: [] };
  const errors: Record<string, number> = {};
  const made = new Set<string>();
  const unknown = new Set<string>();
  const config = {
    cpu: { vcpuCount: 1 },
    memory: { sizeBytes: 134_217_728n },
    boot: { kernelPath: plan.kernel },
    storage: [{ path: plan.disk, isRootDevice: true }],
  };
  const ask: Readonly<Record<LoadCall, (vmId: string) => Promise<unknown>>> = {
    createVm: (vmId) => client.createVm({ vmId, config }),
    getVmInfo: (vmId) => client.getVmInfo({ vmId }),
    listVms: () => client.listVms({ pageSize: 50 }),
    deleteVm: (vmId) => client.deleteVm({ vmId }),
  };

  async function one(call: LoadCall, vmId: string): Promise<boolean> {
    const began = performance.now();
    if (call === "createVm" || call === "deleteVm") unknown.add(vmId);
    if (call === "deleteVm") made.delete(vmId);
    try {
      await ask[call](vmId);
    } catch (error) {
      const name = Code[ConnectError.from(error).code] ?? "?";
      errors[name] = (errors[name] ?? 0) + 1;
      return false;
    }
    latencies[call].push(performance.now() - began);
    if (call === "createVm") made.add(vmId);
    if (call === "createVm" || call === "deleteVm") unknown.delete(vmId);
    return true;
  }

  async function work(name: number): Promise<void> {
    for (let round = 1; !plan.over.aborted; round++) {
      const isKept = plan.keepEvery !== undefined && round % plan.keepEvery === 0;
      for (const call of CALLS) {
        if (plan.over.aborted || (call === "deleteVm" && isKept)) break;
        if (!(await one(call, `load-${name}-${round}`))) break;
      }
    }
  }

  await Promise.all(Array.from({ length: plan.clients }, (_, name) => work(name)));
  return { latencies, errors, made, unknown };
}
