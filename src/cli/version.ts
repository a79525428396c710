import { createRequire } from "node:module";

/** Warder's version, of its package. The file lies as far above `src/cli` as above `dist/cli`. */
export const warderVersion: string = readVersion();

function readVersion(): string {
  const { version } = createRequire(import.meta.url)("../../package.json") as { readonly version: string };
  return version;
}
