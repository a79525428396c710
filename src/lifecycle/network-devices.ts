import type { NetworkInterface } from "../firecracker/models.ts";
import { toRateLimiter } from "../firecracker/rate-limit.ts";
import { withNetworkArguments } from "../network/guest-arguments.ts";
import { WarderError } from "../vm/error.ts";
import type { VmRecord } from "../vm/record.ts";
import { BOOT_ARGS_MAX_CHARACTERS, type VmSpec } from "../vm/spec.ts";

/** The interfaces as Firecracker's configuration has them; nothing for a VM without. Pure. */
export function networkInterfaces({ network, spec }: VmRecord): { networkInterfaces?: readonly NetworkInterface[] } {
  if (network === undefined || network.interfaces.length === 0) return {};
  return {
    networkInterfaces: network.interfaces.map(({ name, tap, mac }, index) => {
      const { rxRateLimit, txRateLimit } = spec.networks?.[index] ?? {};
      return {
        iface_id: name,
        host_dev_name: tap,
        guest_mac: mac,
        ...(rxRateLimit === undefined ? {} : { rx_rate_limiter: toRateLimiter(rxRateLimit) }),
        ...(txRateLimit === undefined ? {} : { tx_rate_limiter: toRateLimiter(txRateLimit) }),
      };
    }),
  };
}

/**
 * What the guest is to be, with the kernel arguments by which it gets its addresses. Pure.
 *
 * @throws {@link WarderError} `invalid-argument` where they leave no room.
 */
export function withGuestNetwork(spec: VmSpec, { id, network }: VmRecord): VmSpec {
  if (network === undefined) return spec;
  const bootArgs = withNetworkArguments(spec.bootArgs, network);
  if (bootArgs.length <= BOOT_ARGS_MAX_CHARACTERS) return { ...spec, bootArgs };
  throw new WarderError("invalid-argument", {
    doing: `telling the guest of ${id} its addresses`,
    why: `with them its kernel arguments have ${bootArgs.length} characters, and Firecracker takes ${BOOT_ARGS_MAX_CHARACTERS}`,
    fields: [
      { field: "bootArgs", problem: `must be ${bootArgs.length - BOOT_ARGS_MAX_CHARACTERS} characters shorter` },
    ],
  });
}
