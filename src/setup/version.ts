/** The release that `warder setup` installs: the newest that upstream supported in August 2026, beside 1.15.1. */
export const PINNED_VERSION = "1.16.1";

/**
 * The oldest release taken without being asked for by name: from it on the jailer copies Firecracker into the jail
 * without following a link that lies at the destination.
 */
export const MINIMUM_VERSION = "1.14.1";

const grammar = /^(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:-[0-9A-Za-z.-]+)?$/;

/** Whether the text is a version such as `1.16.1` or `1.17.0-dev`. */
export function isVersion(text: string): boolean {
  return grammar.test(text);
}

/** Negative where `left` is the older one. A suffix such as `-dev` does not count; what is no version is oldest. */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [numbersOf(left), numbersOf(right)];
  const different = a.findIndex((number, index) => number !== b[index]);
  return different === -1 ? 0 : (a[different] ?? 0) - (b[different] ?? 0);
}

/** Whether a release is taken without being asked for by name, and if not, why not. */
export function supportOf(version: string): { readonly supported: boolean; readonly why: string } {
  if (compareVersions(version, MINIMUM_VERSION) >= 0) return { supported: true, why: `${MINIMUM_VERSION} or newer` };
  return { supported: false, why: `${version} is out of support upstream; ${MINIMUM_VERSION} or newer is needed` };
}

function numbersOf(version: string): number[] {
  return grammar.exec(version)?.slice(1, 4).map(Number) ?? [-1, -1, -1];
}
