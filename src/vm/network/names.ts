import type { Brand } from "../brand.ts";

/** Name of a network interface: 1 to 15 ASCII letters, digits, dots, hyphens and underscores. */
export type InterfaceName = Brand<string, "InterfaceName">;

/** Name of a network that VMs share: 1 to 32 lower case letters, digits and hyphens. */
export type NetworkName = Brand<string, "NetworkName">;

/** The kernel's `IFNAMSIZ` less the final NUL. */
export const INTERFACE_NAME_MAX_BYTES = 15;

/**
 * Says what is wrong with the name of an interface, or `undefined`. Narrower than the kernel, which takes any byte but
 * white space, slash and colon: names become words of `ip` and `nft`, where a leading hyphen or a star has a meaning.
 */
export function interfaceNameProblem(value: string): string | undefined {
  if (value.length > INTERFACE_NAME_MAX_BYTES) return `must be at most ${INTERFACE_NAME_MAX_BYTES} characters`;
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(value)) return undefined;
  return "may hold only letters, digits, dots, hyphens and underscores, the first no dot or hyphen";
}

/** Makes an {@link InterfaceName}; throws a RangeError naming the problem. */
export function toInterfaceName(value: string): InterfaceName {
  const problem = interfaceNameProblem(value);
  if (problem !== undefined) throw new RangeError(`interface name ${JSON.stringify(value)} ${problem}`);
  return value as InterfaceName;
}

/** Says what is wrong with the name of a network, or `undefined`. */
export function networkNameProblem(value: string): string | undefined {
  if (/^[a-z0-9][a-z0-9-]{0,31}$/.test(value)) return undefined;
  return "must be 1 to 32 lower case letters, digits and hyphens, the first no hyphen";
}
