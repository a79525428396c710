import { readFile, writeFile } from "node:fs/promises";

/**
 * Completes package-lock.json; `--check` only says what is wrong with it. npm leaves out the optional packages of other
 * platforms where its registry does not serve them, and `npm ci` refuses such a lock; and it may write down where a
 * package came from, which is no business of who installs it elsewhere.
 */
const file = "package-lock.json";

/** What of a lock matters here. */
interface Lock {
  packages: Record<string, Package>;
}

interface Package {
  readonly version?: string;
  readonly resolved?: string;
  readonly dev?: boolean | undefined;
  readonly optional?: boolean;
  readonly os?: readonly string[] | undefined;
  readonly cpu?: readonly string[] | undefined;
  readonly libc?: readonly string[] | undefined;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const SYSTEMS = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"];

/** The words that packages for one kind of processor have in their names, and what npm calls it. */
const PROCESSORS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ["arm", "arm64", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "wasm32", "x64"].map((name) => [
      name,
      name,
    ]),
  ),
  aarch64: "arm64",
  amd64: "x64",
  armv6: "arm",
  armv7: "arm",
};

/** The words for a C library, and what npm calls it. */
const LIBRARIES: readonly (readonly [word: string, name: string])[] = [
  ["musl", "musl"],
  ["gnu", "glibc"],
];

const lock = JSON.parse(await readFile(file, "utf8")) as Lock;
const missing = missingPackages(lock);
const placed = Object.entries(lock.packages).filter(([, { resolved }]) => resolved?.startsWith("http"));

if (!process.argv.includes("--check")) {
  await writeFile(file, `${JSON.stringify(completed(lock), null, 2)}\n`);
} else if (missing.length + placed.length > 0) {
  for (const [path] of missing) console.error(`${file} lacks ${path}`);
  for (const [path, { resolved }] of placed) console.error(`${file} says where ${path} came from: ${resolved}`);
  console.error(`${file} would not do elsewhere: run \`npm run lock\``);
  process.exitCode = 1;
}

/** The optional packages that others name and that are not there, as they should be. */
function missingPackages({ packages }: Lock): [path: string, Package][] {
  return Object.entries(packages).flatMap(([owner, { dev, optionalDependencies = {} }]) =>
    Object.entries(optionalDependencies)
      .filter(([name]) => !(`node_modules/${name}` in packages) && !(`${owner}/node_modules/${name}` in packages))
      .map(([name, version]): [string, Package] => {
        const { os, cpu, libc } = platformOf(name);
        const fields = { version: exact(name, version), cpu, dev, libc, optional: true, os }; // in npm's order
        return [`node_modules/${name}`, fields];
      }),
  );
}

function exact(name: string, version: string): string {
  if (/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) return version;
  throw new Error(`${file} lacks ${name}, and "${version}" does not say which version: add it by hand`);
}

/** What a package is for, by its name: `@tool/tool-linux-x64-musl`. */
function platformOf(name: string): Pick<Package, "os" | "cpu" | "libc"> {
  const words = name.slice(name.indexOf("/") + 1).split("-");
  const os = words.find((word) => SYSTEMS.includes(word));
  const cpu = words.map((word) => PROCESSORS[word]).find((found) => found !== undefined);
  if (os === undefined || cpu === undefined) {
    throw new Error(`${file} lacks ${name}, and its name does not say what platform it is for: add it by hand`);
  }
  const libc = LIBRARIES.find(([word]) => os === "linux" && words.includes(word));
  return { os: [os], cpu: [cpu], libc: libc === undefined ? undefined : [libc[1]] };
}

/** The lock with what it lacks and without what it has too much, in npm's order. */
function completed(given: Lock): Lock {
  const entries = [...Object.entries(given.packages), ...missing].map(([path, { resolved: _, ...rest }]) => [
    path,
    rest,
  ]);
  return {
    ...given,
    packages: Object.fromEntries(entries.toSorted(([a], [b]) => String(a).localeCompare(String(b), "en"))),
  };
}
