import type { FieldProblem } from "../../vm/error.ts";
import { defaultRestart } from "../../vm/restart.ts";
import type { VmSpec, VmSpecInput } from "../../vm/spec.ts";

type Check = (given: NonNullable<unknown>) => string | undefined;

const anything: Check = () => undefined;
const only =
  (harmless: unknown, why: string): Check =>
  (given) =>
    given === harmless ? undefined : why;

/**
 * What of a VM's description any caller may choose. Everything else, and so whatever a VM can be given one day, is for
 * those alone who may do everything on the host: it reaches beyond the VM.
 */
const open: Readonly<Partial<Record<keyof VmSpecInput, Check>>> = {
  id: anything,
  kernel: anything,
  initrd: anything,
  bootArgs: anything,
  vcpus: anything,
  memoryMib: anything,
  drives: anything,
  newPidNamespace: anything,
  shutdown: anything,
  startTimeoutMs: anything,
  tenant: anything,
  labels: anything,
  annotations: anything,
  jailed: only(true, "without a jail a guest's way out of its VM leads to the daemon's own rights"),
  policy: only("strict", "who takes gaps takes them for everybody on the host"),
  networks: networkProblem,
  restart: (given) => {
    const { backoffMs = defaultRestart.backoffMs } = given as NonNullable<VmSpecInput["restart"]>;
    if (backoffMs >= defaultRestart.backoffMs) return undefined;
    return `less than ${defaultRestart.backoffMs} ms between restarts keep the whole host busy`;
  },
};

/** Interfaces that lead to nothing, or to the public internet, and open nothing beyond. */
function networkProblem(given: NonNullable<unknown>): string | undefined {
  const closed = (given as NonNullable<VmSpecInput["networks"]>).some((each) => {
    const { mode, allow = [], publish = [], dns = [] } = typeof each === "string" ? { mode: each } : each;
    return !["isolated", "egress"].includes(mode) || allow.length + publish.length + dns.length > 0;
  });
  return closed ? "only the modes isolated and egress, without openings, keep a VM from others" : undefined;
}

/** Members that a caller gave and may not choose, each with the reason. */
export function closedMembersIn(input: VmSpecInput): FieldProblem[] {
  return Object.entries(input).flatMap(([member, given]) => {
    if (given === undefined || given === null) return [];
    const check = Object.hasOwn(open, member) ? open[member as keyof VmSpecInput] : undefined;
    const why = check === undefined ? "it reaches beyond the VM" : check(given);
    return why === undefined ? [] : [{ field: member, problem: `is for admins of the host alone: ${why}` }];
  });
}

/** Every file of the host that a VM would be given. */
export function filesOf(spec: VmSpec): readonly { readonly field: string; readonly path: string }[] {
  const kernel = spec.kernel.startsWith("/") ? [{ field: "kernel", path: spec.kernel }] : [];
  const initrd = spec.initrd === undefined ? [] : [{ field: "initrd", path: spec.initrd }];
  const drives = spec.drives.map(({ path }, index) => ({ field: `drives[${index}].path`, path }));
  return [...kernel, ...initrd, ...drives];
}
