import type { HostHealth, HostLook, SystemInfo } from "../observability/health/host-health.ts";
import { messageOf, WarderError } from "../vm/error.ts";
import { abortable } from "./abortable.ts";
import type { Machinery } from "./machinery.ts";
import { readSystem } from "./system-info.ts";

/** How long one check may take: as metald's, so that who waited for that waits long enough. */
const CHECK_TIMEOUT_MS = 5_000;

/** Something that must be in order on a host. */
interface HostCheck {
  readonly name: string;
  /** Without it no VM can be started; without the others, fewer than there should be. */
  readonly isVital: boolean;
  run(machinery: Machinery, signal: AbortSignal): Promise<unknown> | unknown;
}

const checks: readonly HostCheck[] = [
  { name: "backend_ping", isVital: true, run: pingBackend },
  { name: "store", isVital: true, run: ({ store }) => store.leases.count("uid") },
  { name: "chroot_base", isVital: true, run: checkChrootBase },
  { name: "user_ids", isVital: false, run: checkUserIds },
];

/**
 * Looks at what VMs need of their host. VMs are not a part of it: a host is not ill because a guest is, and a guest must
 * not be able to make it seem so.
 */
export async function lookAtHost(machinery: Machinery): Promise<HostHealth> {
  const { clock } = machinery.host;
  let system: SystemInfo = { cores: 0 };
  const readSystemInfo: HostCheck = {
    name: "system_info",
    isVital: false,
    run: ({ host }) => {
      system = readSystem(host);
    },
  };
  const all = [...checks, readSystemInfo];
  const looks = await Promise.all(all.map(async (check) => [check, await look(machinery, check)] as const));
  const isBroken = looks.some(([{ isVital }, { isOk }]) => isVital && !isOk);
  const isImpaired = looks.some(([, { isOk }]) => !isOk);
  return {
    status: isBroken ? "unhealthy" : isImpaired ? "degraded" : "healthy",
    at: clock.now(),
    looks: Object.fromEntries(looks.map(([{ name }, found]) => [name, found])),
    system,
  };
}

async function look(machinery: Machinery, check: HostCheck): Promise<HostLook> {
  const { clock } = machinery.host;
  const began = clock.monotonic();
  const deadline = AbortSignal.timeout(CHECK_TIMEOUT_MS);
  const found = (problem?: string): HostLook => ({
    isOk: problem === undefined,
    ...(problem === undefined ? {} : { problem }),
    durationMs: clock.monotonic() - began,
    at: clock.now(),
  });
  try {
    await abortable(Promise.resolve(check.run(machinery, deadline)), deadline);
    return found();
  } catch (error) {
    return found(deadline.aborted ? `it took more than ${CHECK_TIMEOUT_MS} ms` : messageOf(error));
  }
}

async function pingBackend({ host, binaries }: Machinery, signal: AbortSignal): Promise<void> {
  const kvm = `${host.roots.dev}/kvm`;
  if (host.files.inspectFollowing(kvm)?.kind !== "character")
    throw refusal("kvm-unusable", `there is no device ${kvm}`);
  await binaries({ jailed: true, signal });
}

function checkChrootBase({ host, settings }: Machinery): void {
  const base = settings.chrootBase;
  if (host.files.inspect(base)?.kind !== "directory") throw refusal("chroot-base-unusable", `${base} is not there`);
}

function checkUserIds({ store, settings }: Machinery): void {
  const total = Number(settings.uidRange.count);
  const free = total - store.leases.count("uid") - store.leases.resting("uid").length;
  if (free <= 0) throw refusal("ids-exhausted", `none of ${total} is free`);
}

function refusal(code: "kvm-unusable" | "chroot-base-unusable" | "ids-exhausted", why: string): WarderError {
  return new WarderError(code, { doing: "looking at the host", why });
}
