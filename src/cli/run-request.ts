import { type FieldProblem, isWarderError, messageOf, WarderError } from "../vm/error.ts";
import type { VmSpecInput } from "../vm/spec.ts";
import type { CommandInput, CommonRequest } from "./command.ts";
import { networkFlagProblems } from "./net-flags.ts";
import type { runFlags } from "./run-flags.ts";
import { flagOfField, type RunFlagValues, toSpecInput } from "./run-spec.ts";
import { readJsonFile } from "./small-file.ts";

/** `warder run`, parsed. */
export interface RunRequest extends CommonRequest {
  readonly spec: VmSpecInput;
  readonly idempotencyKey?: string;
  readonly detach: boolean;
  /** Forget the VM when it has ended. */
  readonly forget: boolean;
  /** Print the table of controls. */
  readonly proof: boolean;
  readonly quiet: boolean;
}

/** Reads a request, refusing what is wrong with flags by themselves and with the VM that they describe. */
export async function parseRun({ flags, common, refuse }: CommandInput<typeof runFlags>): Promise<RunRequest> {
  for (const { field, problem } of kernelProblems(flags)) refuse(field, problem);
  for (const { field, problem } of networkFlagProblems(flags)) refuse(field, problem);
  for (const id of unknownDrives(flags)) refuse("--drive-limit", `there is no disk ${id}`);
  const devices = await resolveDevices(flags, refuse);
  const spec = { ...toSpecInput({ ...flags, ...devices }), ...(await readMetadata(flags, refuse)) };
  for (const { field, problem } of await specProblems(spec)) {
    refuse(flagOfField(field, flags.rootfs !== undefined), problem);
  }
  return {
    ...common,
    spec,
    ...(flags.idempotencyKey === undefined ? {} : { idempotencyKey: flags.idempotencyKey }),
    detach: flags.detach === true,
    forget: flags.rm === true,
    proof: flags.proof === true || flags.probe === true,
    quiet: flags.quiet === true,
  };
}

function kernelProblems({ probe, kernel, initrd }: RunFlagValues): FieldProblem[] {
  if (probe !== true) return kernel === undefined ? [{ field: "--kernel", problem: "is needed, or --probe" }] : [];
  const surplus = [
    ["--kernel", kernel],
    ["--initrd", initrd],
  ] as const;
  return surplus.flatMap(([field, given]) => {
    return given === undefined ? [] : [{ field, problem: "has no meaning with --probe, which is a kernel by itself" }];
  });
}

/** What the guest is to be told, as it stands in a file. Whether it will do is for the VM's description to say. */
async function readMetadata(
  { metadata }: RunFlagValues,
  refuse: (field: string, problem: string) => void,
): Promise<Pick<VmSpecInput, "metadata">> {
  if (metadata === undefined) return {};
  try {
    return { metadata: { data: await readJsonFile(metadata) } };
  } catch (error) {
    refuse("--metadata", messageOf(error));
    return {};
  }
}

/** Disks that are limited and are not there. */
function unknownDrives({ rootfs, drive = [], driveLimit = [] }: RunFlagValues): string[] {
  const known = [...(rootfs === undefined ? [] : ["rootfs"]), ...drive.map(({ id }) => id)];
  return driveLimit.map(({ id }) => id).filter((id) => !known.includes(id));
}

async function specProblems(spec: VmSpecInput): Promise<readonly FieldProblem[]> {
  const { parseVmSpec } = await import("../vm/spec.ts");
  try {
    parseVmSpec(spec);
    return [];
  } catch (error) {
    if (isWarderError(error)) return error.fields;
    throw error;
  }
}

/** Block devices that were named by their paths, by the numbers that the kernel knows them by. */
async function resolveDevices(
  { io }: RunFlagValues,
  refuse: (field: string, problem: string) => void,
): Promise<Pick<RunFlagValues, "io">> {
  if (io?.some(({ device }) => device.startsWith("/")) !== true) return {};
  const { openThisMachine } = await import("../lifecycle/this-machine.ts");
  const { files } = openThisMachine().host;
  return {
    io: io.flatMap((limit) => {
      if (!limit.device.startsWith("/")) return [limit];
      const facts = files.inspectFollowing(limit.device);
      if (facts?.kind === "block") return [{ ...limit, device: facts.deviceNumber }];
      refuse("--io", `${limit.device} ${facts === undefined ? "is not there" : "is not a block device"}`);
      return [];
    }),
  };
}

/** An error of a start, its fields by their flags. */
export function inFlagNames(error: unknown, { spec }: Pick<RunRequest, "spec">): unknown {
  const isAboutInput = isWarderError(error) && /^(invalid-argument|asset-)/.test(error.code);
  if (!isAboutInput || error.fields.length === 0) return error;
  const hasRootfs = spec.drives?.[0]?.root === true;
  return new WarderError(error.code, {
    doing: error.doing,
    why: error.why,
    ...(error.cure === undefined ? {} : { cure: error.cure }),
    fields: error.fields.map(({ field, problem }) => ({ field: flagOfField(field, hasRootfs), problem })),
    cause: error,
    cleanup: error.cleanup,
  });
}
